"""Properties on the public face: the class, and how a function of one's own is described."""

from property_models.callables import described as described
from property_models.callables import vectorised as vectorised
from property_models.property import Property as Property

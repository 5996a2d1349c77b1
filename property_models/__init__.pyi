from .callables import described as described
from .callables import from_function as from_function
from .callables import vectorised as vectorised
from .property import Property as Property
from .registry import compute as compute
from .registry import get as get
from .registry import names as names
from .scorers import scoring as scoring

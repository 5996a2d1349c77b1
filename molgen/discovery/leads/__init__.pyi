from .lead import Lead as Lead
from .lead import Refused as Refused
from .report import Optimized as Optimized
from .report import Try as Try

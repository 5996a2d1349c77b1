from .lead import Lead as Lead
from .lead import Refused as Refused
from .report import Attempt as Attempt
from .report import Optimized as Optimized

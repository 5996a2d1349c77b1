from .lead import Lead as Lead
from .lead import Refused as Refused
from .report import Attempt as Attempt

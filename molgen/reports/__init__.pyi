from .data import Distribution as Distribution
from .data import Funnel as Funnel
from .data import ReportData as ReportData
from .page import write_page as write_page

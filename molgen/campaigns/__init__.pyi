from .engine import Engine as Engine
from .plan import Plan as Plan
from .status import Status as Status
from .store import Store as Store

from .method import Method as Method
from .objective import Objective as Objective
from .plan import Sweep as Sweep
from .store import Record as Record
from .store import Run as Run
from .store import Store as Store
from .tune_space import Candidate as Candidate

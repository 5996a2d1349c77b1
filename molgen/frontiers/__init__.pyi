from .method import Arm as Arm
from .plan import Sweep as Sweep
from .store import Point as Point
from .store import Record as Record
from .store import Store as Store
from .task import Task as Task
from .tune_space import Candidate as Candidate

from .command import Command as Command
from .endpoint import Endpoint as Endpoint
from .outcomes import Outcome as Outcome
from .sessions import Sessions as Sessions

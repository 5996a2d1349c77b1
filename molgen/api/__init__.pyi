<<<<<<< HEAD
from .show import show as show
=======
from .compute import compute as compute
from .design import design as design
from .evaluate import evaluate as evaluate
from .fit_property import Fitted as Fitted
from .fit_property import fit_property as fit_property
from .frontier import frontier as frontier
from .frontier import scaling as scaling
from .load import load as load
from .load import models as models
from .optimize import optimize as optimize
from .progress import Progress as Progress
from .score import score as score
from .search import search as search
from .train import train as train
from .train_classifier import train_classifier as train_classifier
from .tune import tune as tune
>>>>>>> w-d

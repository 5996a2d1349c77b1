from .calibration import Conformal as Conformal
from .features import Features as Features
from .gaussian_process import GaussianProcess as GaussianProcess
from .measured import Measured as Measured
from .predictor import PropertyPredictor as PropertyPredictor

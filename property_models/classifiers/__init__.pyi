from .bins import Bins as Bins
from .network import NoisyClassifier as NoisyClassifier
from .network import NoisyClassifierConfig as NoisyClassifierConfig

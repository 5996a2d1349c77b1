from .bins import Bins as Bins
from .network import GuideConfig as GuideConfig
from .network import NoisyGuide as NoisyGuide

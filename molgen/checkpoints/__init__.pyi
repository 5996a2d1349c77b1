from .checkpoint import Checkpoint as Checkpoint
from .folder import load_classifier as load_classifier
from .folder import read_info as read_info
from .folder import save_checkpoint as save_checkpoint
from .folder import save_network as save_network
from .hub import bundled_names as bundled_names
from .hub import locate as locate

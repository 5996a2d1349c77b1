from .ligand import Ligand as Ligand
from .ligand import prepare as prepare
from .receptor import Receptor as Receptor
from .vina import Docking as Docking

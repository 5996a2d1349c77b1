from .show import show as show

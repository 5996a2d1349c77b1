"""What tilts a prediction towards targets: by conditions, by classifiers, by a grammar."""

"""Property predictors: models that learn a property of finished molecules from measured values."""

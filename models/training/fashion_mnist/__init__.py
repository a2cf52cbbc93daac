"""Trains the bundled model: a class-conditional UNet on Fashion-MNIST."""

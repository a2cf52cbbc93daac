"""The recipe of the bundled model: a class-conditional UNet trained on Fashion-MNIST."""

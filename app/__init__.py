"""The web side of Nabla: an HTTP API, its pages, and the worker processes that train."""

__version__ = "0.1.0"

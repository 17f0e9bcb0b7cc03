"""An ordinary Django project that uses Upkeep."""

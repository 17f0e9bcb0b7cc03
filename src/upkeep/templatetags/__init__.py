"""What `{% load upkeep %}` brings into templates."""

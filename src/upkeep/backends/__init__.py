"""What Upkeep must know of each queue beyond `django.tasks`, one file for each."""

"""The flights in Django's admin."""

from django.contrib import admin

from flights.models import Airline, Airport, Flight, Plane

admin.site.register([Airline, Airport, Plane])
admin.site.register(
    Flight,
    list_display=["scheduled_departure", "__str__", "arrival_delay", "delay_class"],
    list_filter=["delay_class", "airline", "origin"],
    raw_id_fields=["origin", "destination", "plane"],
)

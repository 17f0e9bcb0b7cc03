"""The addresses of the pages: `path("upkeep/", include("upkeep.urls"))`."""

from django.urls import path

from upkeep.web import runs, tasks

app_name = "upkeep"

urlpatterns = [
    path("", tasks.task_list, name="task-list"),
    path("tasks/<path:label>/", tasks.task, name="task"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/pause/", runs.pause, name="run-pause"),
    path("runs/<int:pk>/resume/", runs.resume, name="run-resume"),
    path("runs/<int:pk>/cancel/", runs.cancel, name="run-cancel"),
    path("runs/<int:pk>/progress/", runs.progress, name="run-progress"),
]

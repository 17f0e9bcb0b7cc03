"""The addresses of the pages: `path("upkeep/", include("upkeep.urls"))`."""

from django.urls import path

from upkeep.web import letters, runs, tasks

app_name = "upkeep"

urlpatterns = [
    path("", tasks.task_list, name="task-list"),
    path("tasks/<path:label>/", tasks.task, name="task"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/pause/", runs.pause, name="run-pause"),
    path("runs/<int:pk>/resume/", runs.resume, name="run-resume"),
    path("runs/<int:pk>/cancel/", runs.cancel, name="run-cancel"),
    path("runs/<int:pk>/progress/", runs.progress, name="run-progress"),
    path("runs/<int:pk>/dead-letters/", letters.run_letters, name="run-letters"),
    path(
        "runs/<int:pk>/dead-letters/retry/",
        letters.run_letters_retry,
        name="run-letters-retry",
    ),
    path(
        "runs/<int:pk>/dead-letters/discard/",
        letters.run_letters_discard,
        name="run-letters-discard",
    ),
    path(
        "runs/<int:pk>/dead-letters/assign/",
        letters.run_letters_assign,
        name="run-letters-assign",
    ),
    path("calls/<str:path>/", letters.call_letters, name="call-letters"),
    path(
        "calls/<str:path>/retry/", letters.call_letters_retry, name="call-letters-retry"
    ),
    path(
        "calls/<str:path>/discard/",
        letters.call_letters_discard,
        name="call-letters-discard",
    ),
    path(
        "calls/<str:path>/assign/",
        letters.call_letters_assign,
        name="call-letters-assign",
    ),
    path("dead-letters/", letters.letter_list, name="letter-list"),
    path("dead-letters/<int:pk>/", letters.letter, name="letter"),
    path("dead-letters/<int:pk>/retry/", letters.letter_retry, name="letter-retry"),
    path(
        "dead-letters/<int:pk>/discard/", letters.letter_discard, name="letter-discard"
    ),
    path("dead-letters/<int:pk>/assign/", letters.letter_assign, name="letter-assign"),
]

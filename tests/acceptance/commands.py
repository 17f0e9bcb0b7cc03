"""The manual, the first steps, and the command line."""

from tests.acceptance.statements import (
    better,
    shown,
    to_come,
)

STATEMENTS = [
    shown(
        "DOC-01",
        "The documentation holds: its examples run, its tables are whole, its links "
        "lead somewhere.",
        "test_docs.py::test_the_examples_do_what_they_show",
        "test_docs.py::test_every_attribute_of_a_task_is_there_with_its_default",
        "test_docs.py::test_every_name_of_maintenance_tasks_is_there",
        "test_docs.py::test_links_lead_somewhere",
    ),
    better(
        "INS-01",
        "A project has tables and pages after a few steps.",
        "test_readme.py::test_who_types_it_all_gets_what_it_says",
        ours=(
            "Five steps, without a generator that writes into the project's files; a "
            "test types them as they stand."
        ),
        heading="README.md#Into your project, in five steps",
    ),
    to_come(
        "GEN-01",
        "A generator writes a task and its test.",
        area="generator",
        missing="`upkeep new` is not built.",
    ),
    to_come(
        "GEN-02",
        "The generated test is of the kind that the project has.",
        area="generator",
        missing="Neither Django's TestCase nor pytest is served.",
    ),
    to_come(
        "GEN-03",
        "The generator goes by the configured module of tasks.",
        "tasks/test_registry.py::TestDiscovery::test_goes_by_the_name_in_the_settings",
        area="generator",
        missing="Only discovery goes by `TASKS_MODULE`.",
    ),
    to_come(
        "GEN-04",
        "The generator makes folders for a nested name.",
        "tasks/test_registry.py::TestDiscovery::test_finds_packages_however_deep",
        area="generator",
        missing="Only discovery knows nested packages.",
    ),
    to_come(
        "GEN-05",
        "The generator doubles no suffix.",
        area="generator",
        missing="There is none that could.",
    ),
    to_come(
        "GEN-06",
        "The generator writes a task that walks a file.",
        area="generator",
        missing="`upkeep new --csv` is not built.",
    ),
    to_come(
        "GEN-07",
        "The generator writes a task of one step.",
        area="generator",
        missing="`upkeep new --job` is not built.",
    ),
    to_come(
        "GEN-08",
        "The generated test of a task of one step needs no item.",
        "tasks/test_base.py::TestWithoutAQueue::test_a_job_can_be_performed",
        area="generator",
        missing="Only tests written by hand do so.",
    ),
    to_come(
        "GEN-10",
        "Two kinds at once are refused by the generator.",
        area="generator",
        missing="There are no kinds to choose from yet.",
    ),
    shown(
        "CLI-02",
        "A run is started by the name of its task, and one is told so.",
        "management/test_run.py::TestEnqueue::test_says_what_it_did_and_how_to_go_on",
    ),
    shown(
        "CLI-04",
        "A file is given by its path.",
        "management/test_run.py::TestParameters::test_may_be_files",
    ),
    shown(
        "CLI-05",
        "A file is read from the standard input.",
        "management/test_run.py::TestParameters::test_may_come_from_the_standard_input",
    ),
    shown(
        "CLI-06",
        "A path that leads nowhere is said to.",
        "management/test_run.py::TestUsage::test_is_status_2_and_a_sentence",
        "tasks/test_parameters.py::TestFromText::"
        "test_a_file_that_cannot_be_read_is_named",
    ),
]

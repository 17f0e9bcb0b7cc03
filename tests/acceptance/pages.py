"""What people see: the pages, their lists, their forms."""

from tests.acceptance.statements import (
    better,
    decided_otherwise,
    no_counterpart,
    shown,
    to_come,
)

STATEMENTS = [
    better(
        "AH-01",
        "A moment is shown so that people and programs can read it.",
        "web/test_runs.py::TestFacts::test_moments_can_be_read_by_a_program_too",
        ours=(
            "It is told exactly, in the time zone that is active, and not as so many "
            "days ago."
        ),
        heading="docs/reference.md#Pages",
    ),
    shown(
        "TH-01",
        "A traceback is shown as text, line by line.",
        "web/test_texts.py::TestStored::test_a_text_of_a_run_is_text_on_every_page",
        "web/test_texts.py::TestStored::test_and_it_is_there_to_be_read",
    ),
    shown(
        "TH-02",
        "The bar of a run has its value, its end and the colour of its status, and a "
        "sentence beside it.",
        "web/test_runs.py::TestBar::test_stands_where_the_run_is",
        "web/test_runs.py::TestBar::test_has_the_colour_of_the_status",
    ),
    shown(
        "TH-04",
        "Where the end is not known the bar has no value.",
        "web/test_runs.py::TestBar::"
        "test_without_a_total_has_no_value_while_the_run_is_active",
    ),
    shown(
        "TH-05",
        "A status is shown by its name and in its colour.",
        "web/test_tasks.py::TestRuns::test_have_number_status_and_moment",
    ),
    shown(
        "TH-07",
        "The source of a task is escaped.",
        "web/test_sources.py::test_is_escaped",
    ),
    shown(
        "TH-08",
        "The source of a task is coloured by kinds of words.",
        "web/test_sources.py::test_is_shown_in_colours",
        "web/test_sources.py::test_has_a_colour_for_each_kind_of_word",
    ),
    shown(
        "TH-09",
        "The source keeps its spaces and lines.",
        "web/test_sources.py::test_reads_as_it_is_written",
    ),
    better(
        "TH-11",
        "A parameter of some choices is a list to choose from, with a wish to choose "
        "in front.",
        "web/test_inputs.py::TestChoices::test_none_is_chosen_by_itself",
        "web/test_inputs.py::TestKinds::test_have_an_element_of_their_own",
        ours=(
            "Choices are those of Django's fields: a list, an enum, or a function "
            "that is asked each time."
        ),
        heading="docs/how-to/parameters.md#Choices",
    ),
    shown(
        "TH-12",
        "A moment is asked for with the time zone that it is read in.",
        "web/test_inputs.py::TestDatesAndTimes::test_say_in_which_zone_they_are_read",
    ),
    shown(
        "TH-13",
        "A moment without a zone is read in UTC where the project's is UTC.",
        "tasks/test_parameters.py::TestTexts::"
        "test_text_is_read_in_the_time_zone_of_the_project",
    ),
    shown(
        "TH-14",
        "Where the project has another zone that one is named.",
        "web/test_inputs.py::TestDatesAndTimes::test_say_in_which_zone_they_are_read",
    ),
    shown(
        "TH-15",
        "A moment without a zone is read in the project's.",
        "tasks/test_parameters.py::TestTexts::"
        "test_text_is_read_in_the_time_zone_of_the_project",
        "web/test_every_field.py::"
        "test_people_and_workers_agree_whatever_they_speak_and_wherever_they_are",
    ),
    shown(
        "TH-16",
        "One sees which parameters have to be given.",
        "web/test_inputs.py::TestKinds::test_say_what_may_be_left_out",
    ),
    shown(
        "TH-17",
        "One sees which parameters may be left out.",
        "web/test_inputs.py::TestKinds::test_say_what_may_be_left_out",
    ),
    shown(
        "PAG-01",
        "The first page has the twenty latest runs.",
        "web/test_tasks.py::TestEarlierRuns::"
        "test_come_in_pages_with_none_missed_and_none_twice",
    ),
    shown(
        "PAG-02",
        "The next page has the twenty behind them.",
        "web/test_tasks.py::TestEarlierRuns::"
        "test_come_in_pages_with_none_missed_and_none_twice",
    ),
    shown(
        "PAG-05",
        "A page with runs behind it leads on.",
        "web/test_tasks.py::TestEarlierRuns::test_are_linked_from_page_to_page",
    ),
    shown(
        "IDX-01",
        "Tasks that have run are listed by their latest run.",
        "runs/test_overview.py::TestOrder::test_is_the_latest_first",
    ),
    shown(
        "IDX-04",
        "Such a task is shown with its latest run.",
        "runs/test_overview.py::TestRun::"
        "test_is_the_latest_of_all_where_none_is_active",
    ),
    shown(
        "IDX-05",
        "A task with runs is listed under its name.",
        "runs/test_overview.py::TestGroups::test_follow_from_the_status_of_runs",
    ),
    shown(
        "IDX-06",
        "A task is addressed by its name.",
        "web/test_tasks.py::TestList::test_links_to_each_task_in_its_group",
        "tasks/test_base.py::TestLabel::test_is_the_app_and_the_class",
    ),
    to_come(
        "IDX-08",
        "A task without runs is not stale.",
        area="staleness",
        missing="Nothing is stale yet.",
    ),
    shown(
        "IDX-09",
        "A task without runs is new.",
        "runs/test_overview.py::TestGroups::test_what_never_ran_is_new",
    ),
    shown(
        "IDX-10",
        "A task stands where its run does.",
        "runs/test_overview.py::TestGroups::test_follow_from_the_status_of_runs",
    ),
    shown(
        "IDX-11",
        "A task with an active run is among the active ones.",
        "runs/test_overview.py::TestGroups::test_follow_from_the_status_of_runs",
    ),
    shown(
        "IDX-13",
        "A task whose runs are all over is among the completed ones.",
        "runs/test_overview.py::TestGroups::test_follow_from_the_status_of_runs",
    ),
    shown(
        "SHW-02",
        "A name without task and runs has no page.",
        "web/test_access.py::TestNothingThere::test_is_said_as_404",
    ),
    shown(
        "SHW-06",
        "A task that is gone has no source.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
    ),
    shown(
        "SHW-07",
        "The page of a task bears its name.",
        "web/test_tasks.py::TestEarlierRuns::"
        "test_of_a_renamed_task_are_there_under_both_names",
    ),
    shown(
        "SHW-09",
        "That there are no runs is said.",
        "web/test_tasks.py::TestRuns::test_that_there_are_none_is_said",
    ),
    shown(
        "SHW-10",
        "A task that is gone is said to be.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
    ),
    shown(
        "SHW-13",
        "A task that takes no file asks for none.",
        "web/test_forms.py::TestEveryKindOfField::"
        "test_without_files_nothing_is_uploaded",
    ),
    shown(
        "SHW-14",
        "A task that is gone asks for no file.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
    ),
    shown(
        "SHW-17",
        "The address says which page of runs is shown.",
        "web/test_tasks.py::TestEarlierRuns::"
        "test_come_in_pages_with_none_missed_and_none_twice",
    ),
    shown(
        "SHW-18",
        "Parameters stand in the order of their declaration.",
        "tasks/test_base.py::TestClass::test_has_its_parameters_in_order",
        "web/test_forms.py::TestEveryKindOfField::"
        "test_stand_in_the_order_of_their_declaration",
    ),
    shown(
        "SHW-19",
        "A task that is gone has no parameters.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
    ),
    shown(
        "SHW-20",
        "The form has what the task says of its parameters.",
        "web/test_forms.py::TestValuesBeforehand::test_an_initial_one_shows",
        "web/test_forms.py::TestValuesBeforehand::"
        "test_one_that_is_made_when_asked_for_shows",
    ),
    shown(
        "SHW-21",
        "A task that is gone has no form.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
    ),
    shown(
        "SHW-23",
        "Values in the address that the task does not know are passed over.",
        "web/test_forms.py::TestValuesBeforehand::"
        "test_a_name_that_the_task_does_not_know_is_passed_over",
    ),
    shown(
        "UIR-01",
        "Who presses Run comes to a run that waits; metadata stay away where there "
        "are none.",
        "web/test_tasks.py::TestStart::test_leads_to_the_run",
        "web/test_metadata.py::test_without_the_setting_there_is_none",
        "runs/test_why.py::TestWaiting::test_at_first_it_just_waits",
        "web/test_runs.py::TestFacts::test_have_the_metadata_where_there_are_any",
    ),
    shown(
        "UIR-02",
        "A setting says what a page attaches to the runs that it starts.",
        "web/test_metadata.py::test_is_kept_shown_and_in_the_json",
        "web/test_runs.py::TestFacts::test_have_the_metadata_where_there_are_any",
    ),
    decided_otherwise(
        "UIR-03",
        "What it attaches may be any JSON.",
        "web/test_metadata.py::"
        "test_is_stored_as_any_json_and_text_as_every_database_takes_it",
        "web/test_metadata.py::"
        "test_where_it_fails_the_run_starts_without_and_that_is_told",
        ours=(
            "It is a dict of any JSON, in which a task finds things by name and names "
            "are masked."
        ),
    ),
    shown(
        "UIR-04",
        "A file is given by uploading it.",
        "web/test_forms.py::TestEveryKindOfField::test_files_are_uploaded",
        "browser/test_people.py::test_a_file_need_not_be_chosen_twice",
    ),
    shown(
        "UIR-05",
        "A task is started from its form, and the run shows its values, its end and "
        "its count.",
        "browser/test_people.py::test_an_error_is_told_and_the_run_resumed",
        "web/test_every_field.py::"
        "test_a_worker_sees_what_was_given_and_people_may_read_it",
        "web/test_runs.py::TestBar::test_stands_where_the_run_is",
    ),
    shown(
        "UIR-06",
        "What somebody is typing outlives the news of the runs.",
        "browser/test_polling.py::test_what_is_typed_into_a_form_stays",
    ),
    shown(
        "UIR-08",
        "Wrong values are told beside their fields, and all values stay.",
        "web/test_forms.py::TestWrongValue::"
        "test_is_422_with_the_reason_beside_its_field",
        "web/test_forms.py::TestWrongValue::test_keeps_the_rest_of_the_form",
    ),
    shown(
        "UIR-11",
        "A paused run is resumed by a button.",
        "browser/test_people.py::test_a_run_can_be_started_watched_and_steered",
    ),
    better(
        "UIR-14",
        "A run that is being cancelled needs no second cancel.",
        "web/test_runs.py::TestWishes::test_have_a_button_where_they_change_something",
        "dispatch/test_recovery.py::TestAbandonedRun::"
        "test_goes_where_a_person_or_nobody_wants_it",
        ours=(
            "It has no such button, and if its worker never answers the sweep cancels "
            "it."
        ),
        heading="docs/reference.md#Runs",
    ),
    shown(
        "UIR-17",
        "An errored run is resumed by a button.",
        "browser/test_people.py::test_an_error_is_told_and_the_run_resumed",
    ),
    shown(
        "UIR-19",
        "A queue that refuses is told with its reason.",
        "web/test_tasks.py::TestStart::test_is_409_where_the_queue_refuses",
    ),
    no_counterpart(
        "UIR-20",
        "A callback that prevents enqueuing is told on the page.",
        why="Queues of django.tasks have no callbacks that could.",
    ),
    shown(
        "UIR-21",
        "A wish from a page that is out of date is refused in a sentence.",
        "web/test_runs.py::TestWishes::test_are_granted_or_refused_in_a_sentence",
        "browser/test_states.py::test_a_page_has_no_fault",
    ),
    shown(
        "UIT-01",
        "All tasks are listed, each with a link.",
        "web/test_tasks.py::TestList::test_links_to_each_task_in_its_group",
    ),
    shown(
        "UIT-02",
        "They are grouped: active, new, completed.",
        "web/test_tasks.py::TestList::test_links_to_each_task_in_its_group",
        "runs/test_overview.py::TestGroups::test_are_all_there_even_when_empty",
    ),
    shown(
        "UIT-04",
        "A task's page parts active runs from earlier ones, each with number, status "
        "and moment.",
        "web/test_tasks.py::TestRuns::test_are_parted_into_active_and_earlier_ones",
        "web/test_tasks.py::TestRuns::test_have_number_status_and_moment",
    ),
    shown(
        "UIT-06",
        "The form begins with the values that parameters have by themselves.",
        "web/test_forms.py::TestValuesBeforehand::test_an_initial_one_shows",
    ),
    shown(
        "UIT-07",
        "Each kind of parameter has its kind of input.",
        "web/test_inputs.py::TestKinds::test_have_an_input_of_their_own",
        "web/test_inputs.py::TestKinds::test_have_an_element_of_their_own",
        "web/test_inputs.py::TestDatesAndTimes::"
        "test_are_asked_for_by_the_browser_in_the_projects_terms",
    ),
    shown(
        "UIT-08",
        "A link fills in the form.",
        "web/test_forms.py::TestValuesBeforehand::test_the_address_can_name_every_kind",
        "web/test_inputs.py::TestChoices::"
        "test_where_one_is_or_none_may_be_nothing_is_added",
    ),
    shown(
        "UIT-09",
        "Earlier runs come in pages, and the last one leads no further.",
        "web/test_tasks.py::TestEarlierRuns::test_are_linked_from_page_to_page",
    ),
    shown(
        "UIT-10",
        "A task that is gone shows its runs, and cannot be started.",
        "web/test_tasks.py::TestGone::test_has_a_page_as_long_as_it_has_runs",
        "web/test_tasks.py::TestStart::test_is_409_where_the_task_is_gone",
    ),
    shown(
        "UIT-11",
        "The pages work in a frame of a page of the project.",
        "web/test_csp.py::TestHeaders::"
        "test_a_page_of_the_project_may_frame_ours_where_its_setting_says_so",
    ),
]

"""The row of a run, how it is started, how workers advance it, and all settings."""

from tests.acceptance.statements import (
    better,
    decided_otherwise,
    no_counterpart,
    shown,
    to_come,
)

STATEMENTS = [
    shown(
        "J01",
        "One row of a run says what was asked for, how far it is, and how it ended.",
        "runs/test_facts.py::test_are_the_public_columns_and_no_token",
        "runs/test_intake.py::TestWrite::test_keeps_all_that_was_asked_for",
    ),
    shown(
        "J02",
        "The runs of a task in a status are found by an index.",
        "runs/test_models.py::TestRun::test_of_a_task_in_a_status_is_found_by_an_index",
    ),
    better(
        "J03",
        "A run keeps one CSV file.",
        "tasks/test_parameters.py::TestFiles::test_a_file_is_kept_and_read_again",
        "tasks/test_parameters.py::TestFiles::test_several_files_are_a_list",
        ours="Any number of files of any kind, each a parameter.",
        heading="docs/reference.md#Files",
    ),
    better(
        "J04",
        "A run has one of nine statuses.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestDatabase::test_refuses_a_row_that_cannot_be",
        ours="A tenth, discarded, is for a step that a rule of its task ended.",
        heading="docs/reference.md#Runs",
    ),
    shown(
        "J05",
        "A run of no task, without its file or with wrong parameters is not written.",
        "dispatch/test_enqueue.py::TestEnqueue::"
        "test_by_a_label_that_nobody_has_says_so",
        "runs/test_intake.py::TestRefusal::test_of_a_missing_file",
        "runs/test_intake.py::TestRefusal::test_of_wrong_parameters",
    ),
    shown(
        "J06",
        "A move that is not in the table is refused, and one is told the status.",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
    ),
    shown(
        "J07",
        "A run that shall stop, or was cancelled, is not worked on.",
        "execution/test_claim.py::TestTake::test_a_run_that_shall_not_go_on_is_nobodys",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "J08",
        "A run stands still when it is paused or over.",
        "runs/test_status.py::TestTable::test_who_waits_or_is_held_is_active",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "J09",
        "It is over when it succeeded, was cancelled, or an error stopped it.",
        "runs/test_status.py::TestTable::test_every_status_is_active_or_over",
        "runs/test_models.py::TestRun::test_is_active_until_it_is_over",
    ),
    shown(
        "J10",
        "It is active in every other status.",
        "runs/test_status.py::TestTable::test_every_status_is_active_or_over",
        "runs/test_querysets.py::TestGroups::test_active_and_ended_are_all",
    ),
    shown(
        "J11",
        "It has started when it has the moment of its start.",
        "execution/test_claim.py::TestTake::"
        "test_it_notes_who_holds_it_since_when_and_how_often",
        "runs/test_models.py::TestRun::test_is_timed_from_its_first_start",
    ),
    shown(
        "J12",
        "The time left follows from the rate so far, and is not told where nobody can "
        "know.",
        "runs/test_progress.py::TestTimeLeft::test_goes_on_at_the_rate_so_far",
        "runs/test_progress.py::TestTimeLeft::test_is_never_below_zero",
        "runs/test_progress.py::TestTimeLeft::test_is_none_where_nobody_can_know",
    ),
    shown(
        "J13",
        "Only time with a worker counts as running.",
        "execution/test_executor.py::TestChunks::"
        "test_time_counts_while_a_worker_is_at_it",
    ),
    better(
        "J14",
        "A run that shall stop and of which nothing is heard for five minutes is "
        "stuck.",
        "runs/test_querysets.py::TestAbandoned::test_whoever_is_held_can_be",
        "runs/test_querysets.py::TestAbandoned::test_whoever_is_not_held_cannot",
        "dispatch/test_recovery.py::TestAbandonedRun::"
        "test_goes_where_a_person_or_nobody_wants_it",
        ours=(
            "Whichever worker is silent for its lease loses its run to another, or to "
            "the wish."
        ),
        heading="docs/reference.md#Runs",
    ),
    to_come(
        "J15",
        "A task whose last success is long ago is stale.",
        area="staleness",
        missing="`STALE_AFTER` is not built.",
    ),
    shown(
        "J16",
        "What is shown of a run's parameters is masked.",
        "runs/test_facts.py::test_mask_what_is_secret",
        "runs/test_facts.py::test_mask_everything_where_nobody_can_say_what_is_secret",
    ),
    better(
        "J17",
        "Of two who write a run at once, the one who comes late tries again.",
        "runs/test_status.py::TestMove::"
        "test_is_decided_by_the_row_and_not_by_what_memory_holds",
        "execution/test_claim.py::TestFence::test_every_write_is_refused",
        "runs/test_status.py::TestWish::test_goes_by_the_row_as_it_is_now",
        ours=(
            "Each write says under which token and from which status, and the database "
            "decides."
        ),
        heading="docs/explanation/guarantees.md#Every write carries the token",
    ),
    decided_otherwise(
        "J18",
        "A project can have a model of runs and a job of the queue of its own.",
        "runs/test_intake.py::TestWrite::test_keeps_all_that_was_asked_for",
        "runs/test_retention.py::TestReferences::test_that_protect_a_run_keep_it",
        ours=(
            "What is a project's own is in the metadata, or in models that refer to "
            "the run."
        ),
    ),
    better(
        "J19",
        "Nothing deletes runs.",
        "runs/test_retention.py::TestPrune::test_deletes_what_is_over_for_long",
        "runs/test_retention.py::TestWatcher::"
        "test_prunes_where_the_settings_say_how_long_to_keep",
        ours="A setting or a command does, with their stories and files.",
        heading="docs/how-to/keep-tidy.md#By itself",
    ),
    decided_otherwise(
        "J20",
        "Code goes on where the newest columns are not there yet.",
        "test_migrations.py::"
        "test_a_row_can_be_written_by_code_that_does_not_know_the_newest_columns",
        "test_migrations.py::test_no_column_is_taken_from_code_that_still_knows_it",
        ours=(
            "The other way round: one migrates first, and code from before goes on "
            "meanwhile."
        ),
    ),
    better(
        "K01",
        "A run is started from code, by the name of its task.",
        "dispatch/test_enqueue.py::TestEnqueue::test_returns_the_run_as_it_is_stored",
        "dispatch/test_enqueue.py::TestEnqueue::test_by_label_is_the_same",
        "dispatch/test_enqueue.py::TestRunNow::test_comes_back_when_it_is_done",
        ours=(
            "Also by its class; one gets the run, can have it worked off here, or "
            "later."
        ),
        heading="docs/reference.md#Starting a run",
    ),
    shown(
        "K02",
        "A file is given as it is in Python.",
        "tasks/test_parameters.py::TestFiles::test_a_path_will_do",
        "tasks/test_parameters.py::TestFiles::test_an_open_file_will_do",
    ),
    shown(
        "K03",
        "Parameters are given by their names.",
        "runs/test_intake.py::TestWrite::test_keeps_the_cleaned_values",
        "tasks/test_parameters.py::TestStorage::"
        "test_a_worker_sees_what_the_caller_gave",
    ),
    better(
        "K04",
        "What is wrong is an exception, for each kind of trouble another.",
        "runs/test_intake.py::TestRefusal::test_of_wrong_parameters",
        "dispatch/test_messages.py::TestRefusal::"
        "test_names_the_setting_and_what_was_asked_for",
        "dispatch/test_enqueue.py::TestEnqueue::"
        "test_by_a_label_that_nobody_has_says_so",
        ours=(
            "Each says what to do about it, and that of parameters has the reasons by "
            "name."
        ),
        heading="docs/reference.md#Exceptions",
    ),
    decided_otherwise(
        "K05",
        "Any number of runs of a task may be active at once.",
        "runs/test_slots.py::TestOne::"
        "test_with_the_same_parameters_the_second_is_refused",
        "runs/test_slots.py::TestOne::test_with_other_parameters_both_run",
        "runs/test_slots.py::TestNoLimit::test_any_number_runs",
        ours=(
            "With other parameters; the same run twice only where `concurrency` of the "
            "task says so."
        ),
    ),
    better(
        "K06",
        "Where the message cannot be sent, the caller gets an error and the run is "
        "errored.",
        "dispatch/test_messages.py::TestSameDatabase::"
        "test_where_the_message_cannot_be_written_there_is_no_row",
        "dispatch/test_messages.py::TestQueueElsewhere::"
        "test_that_is_down_leaves_the_run_to_the_sweep",
        ours=(
            "A queue in the same database takes row and message or neither; one "
            "elsewhere gets it later."
        ),
        heading="README.md#What it promises",
    ),
    better(
        "K07",
        "A run that is paused or errored is resumed from code.",
        "runs/test_status.py::TestWish::test_to_resume_calls_a_worker_with_a_new_token",
        "runs/test_status.py::TestWish::"
        "test_to_resume_what_is_interrupted_does_not_wait",
        ours=(
            "An interrupted one too, which then does not wait, and a pause can be "
            "taken back."
        ),
        heading="docs/reference.md#Runs",
    ),
    shown(
        "K08",
        "A second resume is refused.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
    ),
    better(
        "K09",
        "A run can be paused and cancelled from code, though that is nobody's to use.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "runs/test_status.py::TestMove::test_is_told_with_who_and_why",
        "runs/test_sources.py::test_code_that_says_nothing_else_is_python",
        ours="Its verbs are public, and the story tells who, why and from where.",
        heading="docs/reference.md#Runs",
    ),
    better(
        "L01",
        "One class carries all runs to the queue, and the project may replace it to "
        "choose the queue.",
        "dispatch/test_messages.py::TestMessage::test_goes_where_the_run_wants_it",
        "tasks/test_base.py::TestUsing::test_comes_before_what_the_class_says",
        ours=(
            "Each task says its queue, priority and backend, and each run may say "
            "others."
        ),
        heading="docs/reference.md#Starting a run",
    ),
    shown(
        "L02",
        "A message bears the run's number; all else is read from the database.",
        "dispatch/test_messages.py::TestMessage::"
        "test_bears_the_id_and_the_token_and_nothing_else",
    ),
    shown(
        "L03",
        "A worker gets the task and its file when it takes a run up, and what is "
        "missing stops the run.",
        "execution/test_executor.py::TestWhatIsGone::test_its_class",
        "tasks/test_uploads.py::TestFarStorage::"
        "test_that_fails_under_a_run_is_its_error",
        "execution/test_claim.py::TestTake::"
        "test_it_notes_who_holds_it_since_when_and_how_often",
    ),
    shown(
        "L04",
        "Once the worker knows that the run shall stop, no item is begun.",
        "execution/test_interruption.py::TestWish::"
        "test_between_the_claim_and_the_first_item_no_item_is_worked_on",
        "execution/test_interruption.py::TestWish::test_it_stops_the_run",
    ),
    shown(
        "L05",
        "The status is read again every so often, whatever the number of items.",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
    ),
    better(
        "L06",
        "The count is saved every so often, and at the end.",
        "execution/test_executor.py::TestChunks::"
        "test_the_place_is_saved_with_each_chunk",
        "integration/test_kill.py::"
        "test_each_effect_happens_once_wherever_the_worker_is_killed",
        ours="The place is saved with it, and both with the work itself.",
        heading="docs/explanation/guarantees.md#The place is saved with the work",
    ),
    shown(
        "L07",
        "Behind an item the run stops if its time is up or its worker is told to; "
        "another goes on.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_it_is_interrupted_with_a_message_for_the_next_worker",
        "execution/test_interruption.py::TestSignals::"
        "test_the_run_stops_after_the_item_in_hand",
        "backends/contract.py::Contract::"
        "test_a_worker_that_is_told_to_stop_leaves_its_run_to_another",
    ),
    decided_otherwise(
        "L08",
        "The next message is sent when all else is done.",
        "execution/test_announcements.py::"
        "test_the_message_to_the_next_worker_is_sent_once_and_with_the_move",
        "dispatch/test_messages.py::TestSameDatabase::"
        "test_a_move_that_wants_a_worker_does_the_same",
        ours=(
            "It is a part of the move: where there is no move there is no message, and "
            "none is lost."
        ),
    ),
    shown(
        "L09",
        "A run that comes to the end of its collection has succeeded, with the moment.",
        "execution/test_executor.py::TestInTestCase::test_run_now_succeeds",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
    ),
    shown(
        "L10",
        "A message of a run that was cancelled does nothing.",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    decided_otherwise(
        "L11",
        "A run that is paused before a worker came is paused when one comes.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "execution/test_claim.py::TestTake::"
        "test_a_message_from_before_a_pause_is_stale",
        ours=(
            "It is paused at once, and no worker counts its items or calls its hook of "
            "the start."
        ),
    ),
    better(
        "L12",
        "The time that a run may keep a worker holds for all jobs of the project.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_it_goes_on_with_message_after_message",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_that_of_the_task_comes_before_that_of_the_settings",
        ours="It holds for runs alone, and a task can have its own.",
        heading="docs/reference.md#Settings",
    ),
    shown(
        "L13",
        "An error of a run is the run's, and the queue has done its work.",
        "execution/test_failures.py::TestBadItem::test_whatever_it_raises",
        "dispatch/test_enqueue.py::TestRunNow::"
        "test_of_a_task_that_fails_returns_the_failed_run",
    ),
    better(
        "L14",
        "A run knows its message, and nobody asks whether it is the right one.",
        "execution/test_claim.py::TestTake::"
        "test_a_message_from_before_a_pause_is_stale",
        "dispatch/test_messages.py::TestMessage::test_that_comes_twice_does_nothing",
        "integration/test_freeze.py::"
        "test_a_worker_that_wakes_after_its_lease_changes_nothing",
        ours=(
            "Each message and each write bears the token of the run, and an old one "
            "does nothing."
        ),
        heading="docs/explanation/guarantees.md#Every write carries the token",
    ),
    shown(
        "O01",
        "A setting says where tasks are found.",
        "tasks/test_registry.py::TestDiscovery::test_goes_by_the_name_in_the_settings",
    ),
    better(
        "O02",
        "A setting names the class of the queue's job.",
        "tasks/test_base.py::TestUsing::test_comes_before_what_the_class_says",
        "dispatch/test_messages.py::TestMessage::test_goes_where_the_run_wants_it",
        ours="A task says its queue itself; no class has to be written for that.",
        heading="docs/reference.md#Tasks",
    ),
    shown(
        "O03",
        "A setting says how often progress is saved.",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
    ),
    shown(
        "O04",
        "A setting names the storage of files.",
        "tasks/test_uploads.py::TestStorage::"
        "test_the_alias_of_the_settings_comes_before_all",
    ),
    decided_otherwise(
        "O05",
        "A setting says which lines of a traceback are kept.",
        "execution/test_failures.py::TestStory::test_an_error_of_megabytes_is_cut",
        ours=(
            "There is none: a traceback is kept whole, but for its middle where it is "
            "too long."
        ),
    ),
    better(
        "O06",
        "Who may see the pages is said by a class that all of them inherit.",
        "web/test_access.py::TestNobody::test_is_sent_to_log_in_from_a_page",
        "web/test_access.py::TestSomebody::test_without_permission_is_refused",
        "web/test_access.py::TestTaskWithItsOwnPermission::"
        "test_asks_for_it_in_addition",
        ours=(
            "Nobody may without Django's permissions, of which a task can ask for more."
        ),
        heading="docs/reference.md#Pages",
    ),
    better(
        "O07",
        "A setting says what a page attaches to the runs that it starts.",
        "web/test_metadata.py::test_is_kept_shown_and_in_the_json",
        "web/test_metadata.py::test_what_is_secret_by_name_is_not_kept",
        "web/test_metadata.py::"
        "test_where_it_fails_the_run_starts_without_and_that_is_told",
        ours="Who asked is kept anyway, secrets are not, and a failure stops no start.",
        heading="docs/how-to/parameters.md#What is attached to a run",
    ),
    better(
        "O08",
        "A setting says when a run that shall stop is stuck.",
        "runs/test_querysets.py::TestAbandoned::test_a_claim_gives_the_time_of_a_lease",
        "runs/test_querysets.py::TestAbandoned::test_the_later_of_the_two_times_counts",
        ours=(
            "`LEASE` says when a silent worker loses its run, and nobody has to press "
            "a button."
        ),
        heading="docs/reference.md#Settings",
    ),
    shown(
        "O09",
        "A setting says how often a person's wish is looked for.",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
    ),
    decided_otherwise(
        "O10",
        "A setting says whether errors are reported as handled.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        "execution/test_reporting.py::test_what_was_handled_is_a_warning",
        ours=(
            "It follows from the error: what stops a run is not handled, what a rule "
            "settled is."
        ),
    ),
    better(
        "O11",
        "A setting lets cursors be more than text.",
        "tasks/collections/test_iterations.py::test_cursors_keep_their_types",
        ours="They always are; there is no setting to forget.",
        heading="docs/how-to/collections.md#Anything else",
    ),
    to_come(
        "O12",
        "A setting says after which time a task is stale, or that none is.",
        area="staleness",
        missing="`STALE_AFTER` is not built.",
    ),
    no_counterpart(
        "O13",
        "A former setting of the reporter warns.",
        why="It is the history of an interface that was never ours.",
    ),
    shown(
        "O14",
        "A setting says how long a run keeps a worker.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_that_of_the_task_comes_before_that_of_the_settings",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_however_short_it_is_a_chunk_is_done",
    ),
    decided_otherwise(
        "O15",
        "A class can say a shorter time for its runs, and not a longer one.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_that_of_the_task_comes_before_that_of_the_settings",
        ours="What the task says counts, be it longer.",
    ),
    decided_otherwise(
        "O16",
        "A setting says how long an interrupted run waits before it goes on.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_it_goes_on_with_message_after_message",
        ours=(
            "It goes on at once, behind what is in the queue already; throttles and "
            "retries wait."
        ),
    ),
    better(
        "O17",
        "A project can add kinds of collections, and ways to hear that a worker is to "
        "stop.",
        "execution/test_kinds_of_walk.py::test_an_iteration_of_its_own",
        "backends/contract.py::Contract::"
        "test_a_worker_that_is_told_to_stop_leaves_its_run_to_another",
        "execution/test_interruption.py::TestSignals::"
        "test_the_run_stops_after_the_item_in_hand",
        ours=(
            "A task iterates as it likes, and a worker hears its signals whatever the "
            "queue."
        ),
        heading="docs/how-to/collections.md#Anything else",
    ),
    better(
        "O18",
        "The project has to bring its queue, storage, sessions and filters.",
        "test_checks.py::TestTasks::test_whose_queue_is_not_served_are_an_error",
        "test_checks.py::TestSettings::test_that_are_wrong_are_named",
        "tasks/test_uploads.py::TestStorage::"
        "test_without_settings_it_is_a_private_folder_of_the_project",
        ours=(
            "What is missing or wrong is named by checks, and a storage need not be "
            "brought."
        ),
        heading="docs/reference.md#Settings",
    ),
]

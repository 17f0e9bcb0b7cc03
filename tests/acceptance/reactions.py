"""What a run waits for, who is told of it, and what becomes of errors."""

from tests.acceptance.statements import (
    better,
    decided_otherwise,
    no_counterpart,
    shown,
)

STATEMENTS = [
    better(
        "F01",
        "Before an item the conditions are asked whether the run is to wait.",
        "execution/test_throttling.py::TestAsked::"
        "test_before_the_first_item_and_again_before_each",
        "execution/test_throttling.py::TestAsked::"
        "test_by_a_fast_task_no_more_often_than_it_wants",
        "execution/test_throttling.py::TestAsked::test_by_a_method_with_the_parameters",
        ours=(
            "They see the task with its parameters, and are asked no more often than "
            "they want."
        ),
        heading="docs/how-to/throttle.md#When it is asked",
    ),
    better(
        "F02",
        "The item is left for later, the place is kept, and a worker comes again after "
        "the wait.",
        "execution/test_throttling.py::TestWaiting::"
        "test_it_is_interrupted_at_its_place_and_tells_why",
        "execution/test_throttling.py::TestWaiting::test_a_wait_costs_one_message",
        "execution/test_throttling.py::TestWaiting::"
        "test_it_goes_on_from_its_place_when_the_throttle_lets_go",
        "integration/test_throttles.py::"
        "test_each_effect_happens_once_wherever_a_worker_that_waits_is_killed",
        ours="A wait of less than five seconds happens in place, without a message.",
        heading="docs/how-to/throttle.md#What becomes of the run",
    ),
    better(
        "F03",
        "The wait is a duration, 30 seconds by itself, or is computed.",
        "tasks/test_throttles.py::TestAsked::test_true_lets_it_wait_for_the_backoff",
        "tasks/test_throttles.py::TestAsked::test_a_backoff_may_take_the_task",
        "tasks/test_throttles.py::TestAsked::test_a_timedelta_lets_it_wait_so_long",
        ours=(
            "What computes it may take the task, and the condition may say itself how "
            "long."
        ),
        heading="docs/how-to/throttle.md#A replica that is behind",
    ),
    better(
        "F04",
        "A wait that is computed is computed once for each worker.",
        "tasks/test_throttles.py::TestAsked::"
        "test_a_backoff_is_asked_for_anew_each_time",
        ours="It is computed anew each time that the throttle holds.",
        heading="docs/how-to/throttle.md#A replica that is behind",
    ),
    decided_otherwise(
        "F05",
        "Conditions are asked in the order of their lines, those of a parent first; no "
        "parent is changed.",
        "tasks/test_throttles.py::TestCollected::"
        "test_in_the_order_in_which_they_are_written",
        "tasks/test_throttles.py::TestCollected::"
        "test_those_of_a_subclass_before_those_of_its_parents",
        "tasks/test_throttles.py::TestCollected::"
        "test_a_subclass_that_adds_some_changes_no_parent",
        ours=(
            "Those of a subclass come first, as its rules for errors do, and one that "
            "is held asks no other."
        ),
    ),
    no_counterpart(
        "F06",
        "The wait of a throttle goes before the one that all interrupted runs have.",
        why="There is no such wait here that it could go before.",
    ),
    shown(
        "F07",
        "A run that somebody wants to stop is stopped and does not wait; no message is "
        "sent.",
        "execution/test_throttling.py::TestWishes::"
        "test_come_before_a_throttle_that_holds_at_the_same_time",
        "execution/test_throttling.py::TestWishes::"
        "test_on_a_run_that_waits_are_granted_at_once",
    ),
    decided_otherwise(
        "F08",
        "Who listens is told of each time that a throttle holds.",
        "execution/test_announcements.py::TestEachMove::test_that_a_throttle_wants",
        "execution/test_throttling.py::TestInPlace::test_the_row_tells_of_it",
        ours=(
            "A wait without a worker is told as an interruption, with the throttle; "
            "one in place is on the row alone."
        ),
    ),
    better(
        "F09",
        "The page says that a run will go on shortly.",
        "web/test_runs.py::TestThrottled::"
        "test_the_page_says_by_what_since_when_and_until",
        "runs/test_why.py::TestWaiting::"
        "test_what_a_throttle_holds_says_which_since_when_and_until",
        ours=(
            "It says which throttle holds it, since when, why, and when it looks again."
        ),
        heading="docs/how-to/throttle.md#What becomes of the run",
    ),
    decided_otherwise(
        "G01",
        "The hook of the start is called before the first item, at each resume too, "
        "and can stop the run.",
        "execution/test_announcements.py::"
        "test_the_start_is_told_once_and_a_resume_as_such",
        "execution/test_announcements.py::TestFailing::"
        "test_one_that_exits_ends_nothing",
        ours=(
            "It is called at the first start alone; what it raises is reported and "
            "stops nothing."
        ),
    ),
    shown(
        "G02",
        "The hook of a pause is called behind it, by whoever made the move.",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_worker_that_a_person_stops",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_person_where_no_worker_holds_it",
    ),
    shown(
        "G03",
        "The hook of an interruption is called behind it, whatever interrupts.",
        "execution/test_announcements.py::TestEachMove::test_that_lets_go",
        "execution/test_announcements.py::TestEachMove::test_when_its_time_is_up",
        "execution/test_announcements.py::TestEachMove::test_that_a_throttle_wants",
    ),
    shown(
        "G04",
        "The hook of a cancel is called behind it, by whoever made the move.",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_worker_that_a_person_stops",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_person_where_no_worker_holds_it",
    ),
    shown(
        "G05",
        "The hook of success is called behind it.",
        "execution/test_announcements.py::TestEachMove::test_from_its_start_to_its_end",
    ),
    better(
        "G06",
        "The hook of an error is called behind it, and what it raises itself does not "
        "matter.",
        "execution/test_announcements.py::TestEachMove::test_by_an_error",
        "execution/test_announcements.py::TestFailing::"
        "test_one_of_an_error_leaves_the_error_that_stopped_the_run",
        ours="It gets the exception, and what it raises is reported.",
        heading="docs/how-to/react.md#What is promised",
    ),
    decided_otherwise(
        "G07",
        "A task says several hooks of one kind, and conditions for each.",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_worker_that_a_person_stops",
        ours=(
            "A hook is one method that subclasses inherit; conditions and parents are "
            "a matter of its lines."
        ),
    ),
    better(
        "G08",
        "An error in a hook stops the task, or goes out of the worker or the page.",
        "execution/test_announcements.py::TestFailing::"
        "test_a_hook_is_reported_and_changes_nothing",
        "execution/test_announcements.py::TestFailing::"
        "test_one_that_exits_ends_nothing",
        "execution/test_announcements.py::TestFailing::"
        "test_one_that_failed_is_not_called_again",
        ours="It is reported and changes nothing: not the run, and not the page.",
        heading="docs/how-to/react.md#What is promised",
    ),
    shown(
        "G09",
        "Hooks of a task whose class is gone are passed over.",
        "execution/test_announcements.py::"
        "test_a_task_that_is_gone_is_passed_over_and_signals_are_sent",
    ),
    shown(
        "G10",
        "Of two moves at once, the hook of the one that was made is called, alone.",
        "execution/test_announcements.py::TestCancel::"
        "test_that_meets_an_interruption_is_told_alone",
        "execution/test_announcements.py::TestCancel::"
        "test_that_meets_the_end_is_too_late",
    ),
    shown(
        "H01",
        "An error in the work for an item that no rule fits ends the run; the queue "
        "sends nothing again.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
        "execution/test_policies.py::TestPassedOver::"
        "test_what_no_rule_fits_ends_the_run",
    ),
    shown(
        "H02",
        "The row keeps the error's class, message and traceback, cut where too long, "
        "and the moment.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
        "execution/test_failures.py::TestStory::test_an_error_of_megabytes_is_cut",
        "execution/test_failures.py::TestStory::test_a_class_of_a_long_name_is_cut",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
    ),
    shown(
        "H03",
        "What came before the item is counted, it is not, and a resume begins with it.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
        "execution/test_failures.py::TestBadItem::test_resume_goes_on_with_it",
    ),
    shown(
        "H04",
        "A run that an error stopped can be resumed, and is the same run.",
        "execution/test_failures.py::TestBadItem::test_resume_goes_on_with_it",
        "runs/test_status.py::TestWish::"
        "test_to_resume_an_error_forgets_the_error_and_keeps_the_place",
    ),
    decided_otherwise(
        "H05",
        "An error stays on the row of a run that was resumed.",
        "runs/test_status.py::TestWish::"
        "test_to_resume_an_error_forgets_the_error_and_keeps_the_place",
        "execution/test_announcements.py::test_each_stop_keeps_its_cursor",
        ours=(
            "A row tells of its last error only while that stops it; the story keeps "
            "each stop."
        ),
    ),
    shown(
        "H06",
        "An error goes to the reporter of the project.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        "execution/test_reporting.py::test_a_callable_will_do",
    ),
    decided_otherwise(
        "H07",
        "The reporter is told the task, the run, its moments, how far it is, and the "
        "item.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        ours=(
            "All but the moments, which the run has under its number; the total "
            "besides."
        ),
    ),
    shown(
        "H08",
        "An item that is a record is reported by its model and key.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        "execution/test_failures.py::test_a_batch_that_fails_is_called_one",
        "execution/test_failures.py::test_a_job_has_no_item_to_be_named",
    ),
    better(
        "H09",
        "How far the run is, is reported as it was when the worker began.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        ours="It is the number of items done at that moment.",
        heading="docs/how-to/react.md#Tell an error tracker",
    ),
    decided_otherwise(
        "H10",
        "A setting says whether errors that stop a run are reported as handled.",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
        "execution/test_reporting.py::test_what_was_handled_is_a_warning",
        ours=(
            "What stops a run is not handled, what a rule settled is; there is nothing "
            "to set."
        ),
    ),
    shown(
        "H11",
        "What was handled is a warning, all else an error.",
        "execution/test_reporting.py::test_what_was_handled_is_a_warning",
        "execution/test_reporting.py::"
        "test_what_stops_a_run_is_reported_with_where_and_how_far",
    ),
    better(
        "H12",
        "A task lists errors that are reported and passed over.",
        "execution/test_policies.py::TestPassedOver::test_the_run_goes_on_behind_it",
        "execution/test_policies.py::TestPassedOver::"
        "test_an_error_that_is_reported_is_logged_as_one",
        "execution/test_policies.py::TestDeadLetters::test_keep_what_and_why",
        "execution/test_retrials.py::TestOutcomes::test_what_succeeds_is_resolved",
        "execution/test_bad_rows.py::test_troubles_pass_and_137_bad_rows_are_mended_"
        "and_tried_until_none_is_left",
        ours=(
            "What is passed over counts as failed, can be limited, and is kept to be "
            "tried again."
        ),
        heading="docs/how-to/errors.md#Trying dead letters again",
    ),
    better(
        "H13",
        "A method of the task deals with an error; if it raises, the run stops.",
        "execution/test_policies.py::TestHandle::test_that_returns_has_done_the_item",
        "execution/test_policies.py::TestHandle::"
        "test_that_raises_what_no_rule_fits_ends_the_run",
        "execution/test_policies.py::TestHandle::"
        "test_that_raises_leaves_it_to_the_other_rules",
        ours="It has a transaction of its own, and the other rules see what it raises.",
        heading="docs/how-to/errors.md#Seeing to it yourself",
    ),
    shown(
        "H14",
        "Rules are for errors of items; one of the collection stops the run.",
        "execution/test_policies.py::test_an_error_of_the_collection_is_no_item_s",
        "execution/test_throttling.py::TestErrors::"
        "test_behind_a_chunk_of_many_items_it_is_not_looked_for_among_them",
    ),
    no_counterpart(
        "H15",
        "A former way to name a reporter warns.",
        why="It is the history of an interface that was never ours.",
    ),
    shown(
        "H16",
        "A class that is gone stops the run with an error that names it.",
        "execution/test_executor.py::TestWhatIsGone::test_its_class",
    ),
    better(
        "H17",
        "There are no retries.",
        "execution/test_policies.py::TestRetry::test_goes_on_when_it_succeeds",
        "execution/test_policies.py::TestRetry::"
        "test_a_long_wait_gives_the_worker_back_and_keeps_the_count",
        "execution/test_failures.py::TestPassing::"
        "test_an_error_that_the_server_says_to_try_again",
        "execution/test_retrials.py::TestOutcomes::test_what_succeeds_is_resolved",
        ours=(
            "A task says what to try again, how often and when; what passes by itself "
            "is tried unasked."
        ),
        heading="docs/how-to/errors.md#Trying again",
    ),
    decided_otherwise(
        "H18",
        "An error before the run is known is reported without it.",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_was_deleted_does_nothing",
        "dispatch/test_recovery.py::TestLostMessage::"
        "test_that_a_killed_worker_took_with_it_is_sent_again",
        ours=(
            "A message of no run does nothing; one that came to nothing is sent again "
            "by the sweep."
        ),
    ),
    decided_otherwise(
        "H19",
        "A setting says which lines of a traceback are kept.",
        "execution/test_failures.py::TestStory::test_an_error_of_megabytes_is_cut",
        "execution/test_failures.py::TestStory::test_secrets_are_masked",
        ours="All are, but for masked values, and the middle of what is too long.",
    ),
    better(
        "H20",
        "What is no ordinary error, such as an exit, leaves the run as it was.",
        "execution/test_failures.py::TestBadItem::"
        "test_an_error_that_is_no_exception_is_one_all_the_same",
        "execution/test_interruption.py::TestSignals::"
        "test_an_exit_that_nobody_asked_for_is_an_error_of_the_task",
        "integration/test_kill.py::"
        "test_each_effect_happens_once_wherever_the_worker_is_killed",
        "integration/test_poison.py::"
        "test_it_is_kept_where_a_rule_says_so_and_the_run_goes_on",
        "integration/test_poison.py::test_it_stops_the_run_where_none_does",
        ours=(
            "An exit stops it as errored; behind a dead worker the next goes on, and "
            "an item that ends each is found."
        ),
        heading="README.md#What it promises",
    ),
    better(
        "H21",
        "Where the message cannot be sent, the run ends as errored.",
        "dispatch/test_messages.py::TestSameDatabase::"
        "test_where_the_message_cannot_be_written_there_is_no_row",
        "dispatch/test_messages.py::TestQueueElsewhere::"
        "test_that_is_down_leaves_the_run_to_the_sweep",
        ours=(
            "There is no run, or it gets its message later; neither has to be started "
            "again."
        ),
        heading="README.md#What it promises",
    ),
    better(
        "I01",
        "Who listens is told of new runs and of those that stop for a person, an error "
        "or the end.",
        "execution/test_announcements.py::TestEachMove::test_from_its_start_to_its_end",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_person_where_no_worker_holds_it",
        "execution/test_announcements.py::TestEachMove::test_that_lets_go",
        ours=(
            "Of starts, interruptions and resumes as well, each by a signal of its own."
        ),
        heading="docs/reference.md#Hooks and signals",
    ),
    better(
        "I02",
        "They are told before the commit; a resume is told as a new run.",
        "execution/test_announcements.py::TestHostsTransaction::test_is_waited_for",
        "execution/test_announcements.py::TestHostsTransaction::"
        "test_that_is_rolled_back_is_told_to_nobody",
        "execution/test_announcements.py::"
        "test_the_start_is_told_once_and_a_resume_as_such",
        ours="They are told behind the commit, and of a resume as such.",
        heading="docs/how-to/react.md#What is promised",
    ),
    better(
        "I03",
        "They are told the run's number, task, parameters, metadata and moments.",
        "execution/test_announcements.py::test_numbers_and_status_are_fresh",
        ours="They are given the run itself, as it stands behind the move.",
        heading="docs/reference.md#Hooks and signals",
    ),
    shown(
        "I04",
        "Of an error they are told what it was.",
        "execution/test_announcements.py::TestEachMove::test_by_an_error",
        "execution/test_announcements.py::TestWhatIsLeft::"
        "test_the_error_itself_is_gone",
    ),
    decided_otherwise(
        "I05",
        "What they are told is not masked.",
        "execution/test_announcements.py::"
        "test_receivers_are_not_told_the_secrets_of_an_error",
        ours=(
            "The row that they are given has the parameters as they are; an error "
            "tells no masked value."
        ),
    ),
    better(
        "I06",
        "The time that they are told is that of when the worker began.",
        "execution/test_announcements.py::test_the_time_is_that_behind_the_move",
        ours="Every number is that of the row behind the move.",
        heading="docs/how-to/react.md#In the task: hooks",
    ),
    no_counterpart(
        "I07",
        "The library below tells of enumerators, of each iteration and of its queries.",
        why=(
            "They are moments of that library's inside; what becomes of a run is in "
            "its signals and story."
        ),
    ),
]

"""How a run lives: its start, its walk, its moves, its numbers, its end."""

from tests.acceptance.statements import (
    better,
    decided_otherwise,
    no_counterpart,
    shown,
    to_come,
)

STATEMENTS = [
    shown(
        "JOB-01",
        "A pause during an item stops the run behind it; no message is sent.",
        "execution/test_interruption.py::TestWish::test_it_stops_the_run",
    ),
    shown(
        "JOB-02",
        "A cancel during an item ends the run behind it; no message is sent.",
        "execution/test_interruption.py::TestWish::test_it_stops_the_run",
    ),
    shown(
        "JOB-03",
        "A message of a run that was cancelled meanwhile does nothing.",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "JOB-04",
        "A run that its worker cancels bears the moment of its end.",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
        "execution/test_interruption.py::TestWish::"
        "test_between_the_claim_and_the_first_item_no_item_is_worked_on",
    ),
    decided_otherwise(
        "JOB-05",
        "A run that was paused before a worker came has no item worked on.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "execution/test_claim.py::TestTake::test_a_run_that_shall_not_go_on_is_nobodys",
        ours=(
            "It is paused at once, without a worker, and the message on its way is "
            "stale."
        ),
    ),
    shown(
        "JOB-07",
        "A cancel between the claim and the first item is in time.",
        "execution/test_interruption.py::TestWish::"
        "test_between_the_claim_and_the_first_item_no_item_is_worked_on",
    ),
    shown(
        "JOB-10",
        "Many quick items cost one look for a person's wish.",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
    ),
    shown(
        "JOB-12",
        "While items are worked on, the row says that the run is running.",
        "execution/test_claim.py::TestTake::"
        "test_it_notes_who_holds_it_since_when_and_how_often",
    ),
    shown(
        "JOB-15",
        "An interrupted run has a message for the next worker.",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_it_is_interrupted_with_a_message_for_the_next_worker",
    ),
    shown(
        "JOB-16",
        "An error keeps the place before its item, and its class, message and "
        "traceback.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
        "execution/test_failures.py::TestBadItem::test_resume_goes_on_with_it",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
    ),
    shown(
        "JOB-18",
        "A class that is gone when an interrupted run goes on stops it with a reason.",
        "execution/test_executor.py::TestWhatIsGone::test_its_class",
    ),
    decided_otherwise(
        "JOB-19",
        "The next message is sent when the hooks of the stop are done, and once.",
        "execution/test_announcements.py::"
        "test_the_message_to_the_next_worker_is_sent_once_and_with_the_move",
        "execution/test_interruption.py::TestTimeBudget::"
        "test_it_is_interrupted_with_a_message_for_the_next_worker",
        ours=(
            "It is a part of the move, and hooks are called behind that: they keep no "
            "worker waiting."
        ),
    ),
    shown(
        "JOB-20",
        "An error sends no message.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
    ),
    shown(
        "JOB-22",
        "A pause keeps the place.",
        "execution/test_interruption.py::TestWish::"
        "test_a_paused_run_goes_on_from_its_place",
    ),
    better(
        "JOB-24",
        "A cursor that is text is gone on with.",
        "tasks/collections/test_iterations.py::test_cursors_keep_their_types",
        ours=(
            "Each cursor keeps its type by itself; there is no switch between two "
            "encodings."
        ),
        heading="docs/how-to/collections.md#Anything else",
    ),
    shown(
        "JOB-25",
        "An item that fails again leaves the place as it was.",
        "execution/test_failures.py::TestBadItem::"
        "test_it_fails_again_if_it_is_still_bad",
    ),
    shown(
        "JOB-28",
        "A place of several columns is gone on from.",
        "execution/test_kinds_of_walk.py::test_records_by_other_columns",
    ),
    shown(
        "JOB-31",
        "Every record of a QuerySet is worked on, and the run has succeeded.",
        "execution/test_executor.py::TestInTestCase::test_run_now_succeeds",
    ),
    shown(
        "JOB-32",
        "Every row of a file is worked on once.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
    ),
    shown(
        "JOB-33",
        "A task of one step is performed once.",
        "execution/test_executor.py::TestJob::test_its_result_is_saved",
    ),
    shown(
        "JOB-34",
        "Batches of a file are worked on one by one, the smaller last one too.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
    ),
    shown(
        "JOB-35",
        "What cannot be walked ends the run as errored, with what could be.",
        "execution/test_executor.py::TestTask::"
        "test_whose_collection_cannot_be_walked_ends_as_errored",
        "tasks/collections/test_base.py::TestCollect::"
        "test_refuses_anything_else_by_its_type",
    ),
    shown(
        "JOB-36",
        "A task without a collection ends its run as errored.",
        "execution/test_executor.py::TestTask::"
        "test_that_lacks_a_method_ends_as_errored",
    ),
    shown(
        "JOB-37",
        "A task without the work for an item ends its run as errored.",
        "execution/test_executor.py::TestTask::"
        "test_that_lacks_a_method_ends_as_errored",
    ),
    no_counterpart(
        "JOB-38",
        "Retries that are declared on the class of the queue's job are refused.",
        why=(
            "No class of the queue's job is a project's to change: one function of "
            "ours carries all messages."
        ),
    ),
    shown(
        "JOB-42",
        "A record that failed is told by its model and key alone.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
    ),
    shown(
        "JOB-45",
        "Of several throttles each has its own wait, be it computed.",
        "execution/test_throttling.py::TestAsked::test_in_their_order_until_one_holds",
        "tasks/test_throttles.py::TestAsked::"
        "test_a_backoff_is_asked_for_anew_each_time",
        "tasks/test_throttles.py::TestAsked::"
        "test_a_backoff_may_be_a_method_of_an_object",
    ),
    shown(
        "JOB-47",
        "The collection and the work for an item see the run's parameters.",
        "dispatch/test_enqueue.py::TestRunNow::"
        "test_of_a_task_that_fails_returns_the_failed_run",
        "tasks/test_base.py::TestWithoutAQueue::test_collection_can_be_looked_at",
    ),
    shown(
        "JOB-48",
        "With batches of records, count and total are in batches.",
        "execution/test_kinds_of_walk.py::test_batches",
    ),
    shown(
        "JOB-51",
        "A pause that comes while the worker gives the run back is granted.",
        "execution/test_interruption.py::TestWish::"
        "test_that_comes_while_the_worker_lets_go_is_granted",
    ),
    shown(
        "JOB-54",
        "Who cancels a run that has just succeeded is told so, and it stays.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "execution/test_interruption.py::TestWish::"
        "test_during_the_last_item_the_run_has_succeeded",
    ),
    shown(
        "JOB-55",
        "Who pauses a run that has just succeeded is told so, and it stays.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "execution/test_interruption.py::TestWish::"
        "test_during_the_last_item_the_run_has_succeeded",
    ),
    shown(
        "JOB-57",
        "The total of records is counted by the database, unasked.",
        "tasks/collections/test_querysets.py::TestWalk::test_counts_by_the_database",
    ),
    shown(
        "JOB-58",
        "A task says how many records a query fetches at most.",
        "execution/test_executor.py::TestChunks::"
        "test_pages_of_fast_items_grow_to_the_size_of_the_batch",
    ),
    shown(
        "JOB-62",
        "What iterate() yields is worked on once each.",
        "execution/test_kinds_of_walk.py::test_an_iteration_of_its_own",
    ),
    shown(
        "JOB-64",
        "An iteration goes on behind the cursor that was reached.",
        "execution/test_kinds_of_walk.py::test_an_iteration_of_its_own",
    ),
    shown(
        "PRG-03",
        "Without a total the bar of a run that is over is full.",
        "web/test_runs.py::TestBar::test_without_a_total_is_full_when_the_run_is_over",
    ),
    shown(
        "PRG-05",
        "The bar ends at the total.",
        "web/test_runs.py::TestBar::test_stands_where_the_run_is",
    ),
    shown(
        "PRG-07",
        "More items than were counted do not lead beyond the bar.",
        "web/test_runs.py::TestBar::test_of_more_than_there_were_is_full",
        "runs/test_progress.py::TestFraction::test_is_from_0_to_1",
    ),
    shown(
        "PRG-11",
        "One item is told in the singular.",
        "runs/test_progress.py::TestText::test_is_a_sentence",
    ),
    shown(
        "RUN-02",
        "Where a file is asked for and none given there is no run.",
        "test_forms.py::TestRefusals::test_are_form_errors",
        "web/test_forms.py::TestEveryKindOfField::"
        "test_a_file_that_is_missing_is_asked_for",
    ),
    better(
        "RUN-04",
        "A file of another kind starts no run.",
        "tasks/collections/files/test_broken.py::test_starts_no_run",
        ours="What is in it counts, not what the browser calls it.",
        heading="docs/how-to/files.md#When a line is bad",
    ),
    shown(
        "RUN-05",
        "Wrong parameters start no run.",
        "runs/test_intake.py::TestRefusal::test_of_wrong_parameters",
        "tasks/test_base.py::TestParameters::test_that_are_wrong_are_named",
    ),
    shown(
        "RUN-06",
        "A parameter that the task does not have is named.",
        "tasks/test_parameters.py::TestErrors::test_all_of_them_come_together",
        "runs/test_intake.py::TestRefusal::test_of_unknown_parameters",
    ),
    shown(
        "RUN-07",
        "So it is where the task takes none.",
        "tasks/test_parameters.py::TestErrors::test_a_task_without_parameters_says_so",
    ),
    shown(
        "RUN-08",
        "A move and what it brings are one write.",
        "execution/test_failures.py::TestBadItem::test_the_items_before_it_are_kept",
        "runs/test_status.py::TestWish::"
        "test_to_resume_an_error_forgets_the_error_and_keeps_the_place",
    ),
    shown(
        "RUN-09",
        "The hook of an interruption is called.",
        "execution/test_announcements.py::TestEachMove::test_that_lets_go",
        "execution/test_announcements.py::TestEachMove::test_when_its_time_is_up",
    ),
    better(
        "RUN-10",
        "The hook and the signal of success come, with all there is to know.",
        "execution/test_announcements.py::TestEachMove::test_from_its_start_to_its_end",
        "execution/test_announcements.py::test_numbers_and_status_are_fresh",
        "integration/test_hooks.py::"
        "test_each_hook_is_called_wherever_the_worker_is_killed",
        ours=(
            "They come behind the commit, with the run as it then is, though its "
            "worker be killed."
        ),
        heading="docs/how-to/react.md#What is promised",
    ),
    shown(
        "RUN-11",
        "The hook and the signal of a cancel come.",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_worker_that_a_person_stops",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_person_where_no_worker_holds_it",
    ),
    shown(
        "RUN-13",
        "A cancel that meets an interruption wins, and its hook alone is called.",
        "execution/test_announcements.py::TestCancel::"
        "test_that_meets_an_interruption_is_told_alone",
        "execution/test_interruption.py::TestWish::"
        "test_that_comes_while_the_worker_lets_go_is_granted",
    ),
    shown(
        "RUN-14",
        "A cancel that meets the end comes too late, and the hook of success is "
        "called.",
        "execution/test_announcements.py::TestCancel::"
        "test_that_meets_the_end_is_too_late",
        "execution/test_interruption.py::TestWish::"
        "test_during_the_last_item_the_run_has_succeeded",
    ),
    better(
        "RUN-16",
        "A checkpoint does not spoil the next write of its worker.",
        "execution/test_claim.py::TestFence::test_whoever_holds_it_writes",
        ours=(
            "The condition of each write is the token, which a checkpoint leaves alone."
        ),
        heading="docs/explanation/guarantees.md#Every write carries the token",
    ),
    shown(
        "RUN-18",
        "The hook and the signal of an error come, with the error.",
        "execution/test_announcements.py::TestEachMove::test_by_an_error",
        "execution/test_announcements.py::TestWhatIsLeft::"
        "test_the_error_itself_is_gone",
    ),
    better(
        "RUN-19",
        "A hook of an error that fails itself changes nothing.",
        "execution/test_announcements.py::TestFailing::"
        "test_one_of_an_error_leaves_the_error_that_stopped_the_run",
        "execution/test_announcements.py::TestFailing::test_it_tells_no_secret",
        ours="What it raises is not swallowed: it is reported, as that of any hook.",
        heading="docs/how-to/react.md#What is promised",
    ),
    shown(
        "RUN-20",
        "The name of an error's class is cut where it is too long.",
        "execution/test_failures.py::TestStory::test_a_class_of_a_long_name_is_cut",
    ),
    shown(
        "RUN-21",
        "The message of an error is cut where it is too long.",
        "execution/test_failures.py::TestStory::test_an_error_of_megabytes_is_cut",
        "test_databases.py::TestStorable::test_every_database_takes_it",
    ),
    shown(
        "RUN-22",
        "To look for a person's wish reads the status and leaves the rest of the run "
        "alone.",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
        "execution/test_interruption.py::TestWish::"
        "test_a_pause_that_is_taken_back_changes_nothing",
    ),
    no_counterpart(
        "RUN-23",
        "The look for a wish is never answered by a cache of queries.",
        why="Django's ORM has no cache that answers a second query.",
    ),
    shown(
        "RUN-25",
        "A paused run is held by no worker and waits for none.",
        "runs/test_status.py::TestTable::test_who_waits_or_is_held_is_active",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "RUN-26",
        "Neither is one that is over.",
        "runs/test_status.py::TestTable::test_who_waits_or_is_held_is_active",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "RUN-28",
        "A run that no worker has taken up has not started.",
        "runs/test_intake.py::TestWrite::test_keeps_all_that_was_asked_for",
    ),
    shown(
        "RUN-29",
        "One that a worker has taken up has.",
        "execution/test_claim.py::TestTake::"
        "test_it_notes_who_holds_it_since_when_and_how_often",
        "runs/test_models.py::TestRun::test_is_timed_from_its_first_start",
    ),
    shown(
        "RUN-31",
        "A run is active until it is over.",
        "runs/test_models.py::TestRun::test_is_active_until_it_is_over",
        "runs/test_status.py::TestTable::test_every_status_is_active_or_over",
    ),
    shown(
        "RUN-33",
        "Before the first item nobody says how long it takes.",
        "runs/test_progress.py::TestTimeLeft::test_is_none_where_nobody_can_know",
    ),
    shown(
        "RUN-34",
        "Without a total nobody says how long it takes.",
        "runs/test_progress.py::TestTimeLeft::test_is_none_where_nobody_can_know",
    ),
    shown(
        "RUN-35",
        "The rest takes as long as what is done, item for item.",
        "runs/test_progress.py::TestTimeLeft::test_goes_on_at_the_rate_so_far",
        "execution/test_executor.py::TestChunks::"
        "test_time_counts_while_a_worker_is_at_it",
    ),
    shown(
        "RUN-37",
        "A worker takes up what is enqueued or interrupted.",
        "runs/test_querysets.py::TestClaimable::test_is_what_waits",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
    ),
    shown(
        "RUN-38",
        "A worker does not take up what is being paused or cancelled.",
        "dispatch/test_messages.py::TestMessage::"
        "test_of_a_run_that_waits_no_longer_does_nothing",
    ),
    shown(
        "RUN-40",
        "A pause just before the claim is no error, and no item is worked on.",
        "execution/test_claim.py::TestTake::"
        "test_a_message_from_before_a_pause_is_stale",
        "execution/test_claim.py::TestTake::test_a_run_that_shall_not_go_on_is_nobodys",
    ),
    shown(
        "RUN-41",
        "The database decides whether the claim or the wish came first.",
        "runs/test_status.py::TestMove::"
        "test_is_decided_by_the_row_and_not_by_what_memory_holds",
        "execution/test_claim.py::TestTake::test_a_run_that_shall_not_go_on_is_nobodys",
    ),
    shown(
        "RUN-44",
        "A worker that is told to stop leaves its run interrupted.",
        "execution/test_interruption.py::TestSignals::"
        "test_the_run_stops_after_the_item_in_hand",
    ),
    shown(
        "RUN-45",
        "If the run was to be cancelled it is, with the moment.",
        "execution/test_interruption.py::TestWish::"
        "test_that_comes_while_the_worker_lets_go_is_granted",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
    ),
    shown(
        "RUN-46",
        "If it was to be paused it is.",
        "execution/test_interruption.py::TestWish::"
        "test_that_comes_while_the_worker_lets_go_is_granted",
    ),
    shown(
        "RUN-47",
        "A run that is cancelled stays so.",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
        "execution/test_claim.py::TestTake::test_a_run_that_shall_not_go_on_is_nobodys",
    ),
    decided_otherwise(
        "RUN-49",
        "A run that is not over can be cancelled.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        ours=(
            "Only where a worker holds the run does it finish the item in hand; else "
            "the run is cancelled at once."
        ),
    ),
    shown(
        "RUN-50",
        "A paused run is cancelled at once, with the moment.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        "runs/test_status.py::TestMove::test_to_an_end_is_dated_and_any_other_is_not",
    ),
    better(
        "RUN-51",
        "A run whose worker never hears of a cancel can be brought to its end.",
        "dispatch/test_recovery.py::TestAbandonedRun::"
        "test_goes_where_a_person_or_nobody_wants_it",
        ours="Nobody has to do it: the sweep does when the lease has run out.",
        heading="docs/reference.md#Runs",
    ),
    better(
        "RUN-52",
        "No other run is taken for stuck.",
        "runs/test_querysets.py::TestAbandoned::test_whoever_is_not_held_cannot",
        "dispatch/test_recovery.py::TestAbandonedRun::"
        "test_whose_pacemaker_beats_is_not_abandoned",
        ours="The sweep takes whoever is held by a silent worker, and nobody else.",
        heading="docs/reference.md#Runs",
    ),
    shown(
        "RUN-54",
        "The hook of a cancel is called for a paused run too.",
        "execution/test_announcements.py::TestEachMove::"
        "test_by_a_person_where_no_worker_holds_it",
    ),
    no_counterpart(
        "RUN-55",
        "A status that is set to what it was counts as changed.",
        why=(
            "It is about how Active Record notes changed attributes; our moves are "
            "UPDATEs."
        ),
    ),
    shown(
        "RUN-56",
        "What is enqueued cannot be enqueued again.",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
    ),
    shown(
        "RUN-57",
        "A new run is enqueued, and the signal of it comes.",
        "execution/test_announcements.py::TestEachMove::test_from_its_start_to_its_end",
        "runs/test_intake.py::TestWrite::test_begins_the_story",
    ),
    shown(
        "RUN-59",
        "A task reads the metadata of its run, as JSON has them.",
        "execution/test_executor.py::TestTask::test_has_the_metadata_of_its_run",
    ),
    shown(
        "RUN-60",
        "What a task says of its parameters together, it says of the cleaned ones.",
        "tasks/test_base.py::TestParameters::test_that_are_wrong_are_named",
    ),
    shown(
        "RUN-61",
        "Who resumes a run that was cancelled meanwhile is told so.",
        "runs/test_status.py::TestWish::"
        "test_of_a_run_that_somebody_cancelled_meanwhile_is_refused",
    ),
    shown(
        "RUN-63",
        "Who pauses a run that a worker has just taken up has it pausing.",
        "runs/test_status.py::TestWish::test_goes_by_the_row_as_it_is_now",
    ),
    better(
        "RUN-64",
        "A second pause changes nothing, and a worker that does not hear is not "
        "waited for for ever.",
        "runs/test_status.py::TestWish::test_that_is_already_granted_changes_nothing",
        "dispatch/test_recovery.py::TestAbandonedRun::"
        "test_goes_where_a_person_or_nobody_wants_it",
        ours="The sweep pauses the run when the lease has run out.",
        heading="docs/reference.md#Runs",
    ),
    shown(
        "RUN-67",
        "Every status is active or over.",
        "runs/test_status.py::TestTable::test_every_status_is_active_or_over",
    ),
    better(
        "RUN-70",
        "Cursors can be other than text.",
        "tasks/collections/test_iterations.py::test_cursors_keep_their_types",
        ours="They always can; there is no setting to forget.",
        heading="docs/how-to/collections.md#Anything else",
    ),
    better(
        "RUN-72",
        "A new run knows how its cursor is written.",
        "execution/test_kinds_of_walk.py::"
        "test_a_deploy_that_walks_otherwise_is_found_and_keeps_the_place",
        ours=(
            "There is one way, and a cursor that does not fit the task any more is "
            "found out."
        ),
        heading="docs/how-to/collections.md#What happens when the table changes",
    ),
    to_come(
        "RUN-75",
        "A run that succeeded long ago makes its task stale.",
        area="staleness",
        missing="`STALE_AFTER` is not built.",
    ),
    to_come(
        "RUN-77",
        "One that succeeded lately does not.",
        area="staleness",
        missing="`STALE_AFTER` is not built.",
    ),
    to_come(
        "RUN-78",
        "One that is not there does not.",
        area="staleness",
        missing="`STALE_AFTER` is not built.",
    ),
    decided_otherwise(
        "RNR-02",
        "A task can be started while another run of it is paused.",
        "runs/test_slots.py::TestOne::test_with_other_parameters_both_run",
        "runs/test_slots.py::TestOne::test_one_that_is_paused_is_not_to_be_waited_for",
        "runs/test_slots.py::TestNoLimit::test_any_number_runs",
        ours=(
            "With other parameters it can; the same run twice is refused unless the "
            "task's concurrency allows it."
        ),
    ),
    shown(
        "RNR-03",
        "A run knows its message in the queue.",
        "dispatch/test_messages.py::TestMessage::test_is_known_to_its_run",
    ),
    better(
        "RNR-04",
        "Who starts a run gets hold of it.",
        "dispatch/test_enqueue.py::TestEnqueue::test_returns_the_run_as_it_is_stored",
        ours="It is what enqueue() returns.",
        heading="docs/reference.md#Starting a run",
    ),
    better(
        "RNR-05",
        "It is the new one and no older.",
        "dispatch/test_enqueue.py::TestEnqueue::test_by_label_is_the_same",
        ours="It is what enqueue() returns.",
        heading="docs/reference.md#Starting a run",
    ),
    shown(
        "RNR-06",
        "A name that no task has starts nothing.",
        "dispatch/test_enqueue.py::TestEnqueue::"
        "test_by_a_label_that_nobody_has_says_so",
    ),
    better(
        "RNR-08",
        "Where the message cannot be sent, no run is left that waits in vain.",
        "dispatch/test_messages.py::TestSameDatabase::"
        "test_where_the_message_cannot_be_written_there_is_no_row",
        "dispatch/test_messages.py::TestQueueElsewhere::"
        "test_that_is_down_leaves_the_run_to_the_sweep",
        ours=(
            "A queue in the same database takes row and message or neither; one "
            "elsewhere gets the message later, by the sweep."
        ),
        heading="README.md#What it promises",
    ),
    no_counterpart(
        "RNR-10",
        "Each new run chooses the encoding of its cursor.",
        why="There is one encoding, so nothing is chosen.",
    ),
    shown(
        "RNR-11",
        "The file that is given is kept with the run as it is.",
        "tasks/test_parameters.py::TestFiles::test_a_file_is_kept_and_read_again",
    ),
    shown(
        "RNR-12",
        "A file for a task that takes none starts nothing.",
        "runs/test_intake.py::TestRefusal::test_of_a_file_that_the_task_does_not_take",
    ),
    shown(
        "RNR-13",
        "No file for a task that takes one starts nothing.",
        "runs/test_intake.py::TestRefusal::test_of_a_missing_file",
    ),
    better(
        "RNR-14",
        "Where a file is kept follows from what it is.",
        "tasks/test_uploads.py::TestSave::test_its_name_cannot_be_guessed",
        "tasks/test_parameters.py::TestDescribe::test_files_are_shown_by_name_and_size",
        ours=(
            "Its name cannot be guessed, and people are shown the one that it came "
            "with."
        ),
        heading="docs/reference.md#Files",
    ),
    shown(
        "TIC-01",
        "Where each chunk is one item, each item is saved with its time.",
        "execution/test_executor.py::TestChunks::"
        "test_time_counts_while_a_worker_is_at_it",
    ),
    shown(
        "TIC-02",
        "Before a chunk is full nothing is saved.",
        "execution/test_executor.py::TestChunks::"
        "test_the_place_is_saved_with_each_chunk",
    ),
    shown(
        "TIC-03",
        "With a full chunk the time since the one before is saved.",
        "execution/test_executor.py::TestChunks::"
        "test_time_counts_while_a_worker_is_at_it",
    ),
    shown(
        "TIC-05",
        "Where nothing was done nothing is counted.",
        "execution/test_executor.py::TestChunks::test_an_empty_collection_succeeds",
    ),
    shown(
        "TIC-06",
        "What is saved twice counts once.",
        "execution/test_traps.py::test_a_commit_whose_answer_is_lost_is_not_repeated",
        "execution/test_failures.py::TestBadItem::test_resume_goes_on_with_it",
    ),
    better(
        "VAL-01",
        "A run comes to run from where it waits, and from nowhere else.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
        ours=(
            "A pause can be taken back as well, while its worker finishes the item in "
            "hand."
        ),
        heading="docs/reference.md#Runs",
    ),
    better(
        "VAL-02",
        "A run is enqueued again from where it was stopped, and from nowhere else.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestWish::"
        "test_to_resume_what_is_interrupted_does_not_wait",
        ours="An interrupted one can be told not to wait.",
        heading="docs/reference.md#Runs",
    ),
    decided_otherwise(
        "VAL-04",
        "A cancel leaves only what is not over.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        ours=(
            "By way of a worker where one holds the run, from everywhere else at "
            "once; an errored run too."
        ),
    ),
    decided_otherwise(
        "VAL-05",
        "A pause leaves only what waits or runs.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestWish::test_is_granted_or_refused",
        ours="By way of a worker where one holds the run, else at once.",
    ),
    decided_otherwise(
        "VAL-06",
        "A run comes to be paused only by a pause.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
        ours="It need not have been pausing where no worker holds it.",
    ),
    shown(
        "VAL-09",
        "An error can end whatever is not over and not paused.",
        "runs/test_status.py::TestTable::test_is_the_one_that_was_agreed_on",
        "runs/test_status.py::TestMove::test_happens_if_and_only_if_the_table_says_so",
    ),
]

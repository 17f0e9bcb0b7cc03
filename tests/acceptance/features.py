"""The features with which tasks are written: theirs, and what is ours for each."""

from tests.acceptance.statements import (
    better,
    decided_otherwise,
    no_counterpart,
    shown,
    to_come,
)

STATEMENTS = [
    shown(
        "A01",
        "A task is a class, and its name is the same everywhere.",
        "tasks/test_base.py::TestLabel::test_is_the_app_and_the_class",
        "dispatch/test_enqueue.py::TestEnqueue::test_by_label_is_the_same",
    ),
    shown(
        "A02",
        "A name that finds no task is an error that tells it, on pages 404.",
        "tasks/test_registry.py::TestGet::test_names_the_nearest",
        "web/test_access.py::TestNothingThere::test_is_said_as_404",
    ),
    shown(
        "A03",
        "Tasks are found by themselves; a class that is only there for others is not "
        "listed.",
        "tasks/test_registry.py::TestDiscovery::test_finds_packages_however_deep",
        "tasks/test_registry.py::TestDiscovery::test_needs_no_module_in_an_app",
        "tasks/test_registry.py::TestTasks::test_that_are_abstract_are_not_listed",
    ),
    no_counterpart(
        "A04",
        "A former name of the list of tasks warns.",
        why="It is the history of an interface that was never ours.",
    ),
    shown(
        "A05",
        "Modules of tasks are nested as deep as one likes.",
        "tasks/test_registry.py::TestDiscovery::test_finds_packages_however_deep",
    ),
    shown(
        "A06",
        "`collection` says what to walk; without it the run ends as errored.",
        "execution/test_executor.py::TestTask::"
        "test_that_lacks_a_method_ends_as_errored",
        "tasks/collections/test_base.py::TestCollect::test_takes_what_can_be_walked",
    ),
    shown(
        "A07",
        "`process` does the work for an item; without it the run ends as errored.",
        "execution/test_executor.py::TestTask::"
        "test_that_lacks_a_method_ends_as_errored",
        "tasks/test_base.py::TestWithoutAQueue::test_process_can_be_called",
    ),
    decided_otherwise(
        "A08",
        "`count` may say how many there are, or that nobody knows.",
        "execution/test_executor.py::TestTotal::test_it_may_be_unknown",
        "execution/test_executor.py::TestTotal::test_it_stays_that_of_the_first_start",
        "execution/test_executor.py::TestTotal::test_a_resume_does_not_ask_again",
        ours=(
            "It is asked once, when the run first starts; a resume does not ask again."
        ),
    ),
    better(
        "A09",
        "A task can be tried without a run.",
        "tasks/test_base.py::TestWithoutAQueue::test_process_can_be_called",
        "tasks/test_base.py::TestWithoutAQueue::test_collection_can_be_looked_at",
        ours="It is made with its parameters, which are cleaned, and called.",
        heading="docs/reference.md#Tasks",
    ),
    shown(
        "A10",
        "A task says how many records a query fetches at most.",
        "execution/test_executor.py::TestChunks::"
        "test_pages_of_fast_items_grow_to_the_size_of_the_batch",
    ),
    better(
        "A11",
        "A task of one step needs no collection.",
        "execution/test_executor.py::TestJob::test_its_result_is_saved",
        ours="It is a Job, which has a result besides.",
        heading="docs/reference.md#Jobs",
    ),
    shown(
        "A12",
        "A task walks the rows of a file.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
    ),
    shown(
        "A13",
        "What cannot be returned is yielded, with a cursor.",
        "execution/test_kinds_of_walk.py::test_an_iteration_of_its_own",
    ),
    shown(
        "A14",
        "A task says by which columns records are walked.",
        "execution/test_kinds_of_walk.py::test_records_by_other_columns",
        "tasks/collections/test_keysets.py::TestColumns::test_end_with_the_key",
    ),
    better(
        "A15",
        "A task says under which conditions it waits.",
        "execution/test_throttling.py::TestAsked::test_by_a_method_with_the_parameters",
        "execution/test_throttling.py::TestWaiting::"
        "test_it_is_interrupted_at_its_place_and_tells_why",
        "testing/test_throttles.py::TestThrottled::"
        "test_a_run_stops_before_its_first_item_and_says_why",
        ours=(
            "The condition sees the parameters, tells why, may be shared by several "
            "tasks, and a test can let it hold."
        ),
        heading="docs/how-to/throttle.md#A replica that is behind",
    ),
    better(
        "A16",
        "A task says what it is to be told.",
        "web/test_every_field.py::"
        "test_a_worker_sees_what_was_given_and_people_may_read_it",
        "web/test_every_field.py::test_every_field_of_django_is_tried",
        ours="Parameters are Django form fields, all kinds of them.",
        heading="docs/reference.md#Parameters",
    ),
    shown(
        "A17",
        "A task says what is right, of a parameter and of all together.",
        "tasks/test_base.py::TestParameters::test_that_are_wrong_are_named",
    ),
    shown(
        "A18",
        "A task says what is not shown; those below it add to that.",
        "tasks/test_base.py::TestClass::test_masks_what_its_parents_mask",
        "tasks/test_masks.py::TestNames::"
        "test_what_the_task_lists_is_masked_under_exactly_that_name",
    ),
    shown(
        "A19",
        "A task says how often it looks whether somebody wants it to stop.",
        "execution/test_executor.py::TestChunks::test_it_lasts_as_long_as_is_said",
        "execution/test_interruption.py::TestWish::"
        "test_is_looked_for_once_a_chunk_and_not_at_each_item",
    ),
    better(
        "A20",
        "A task has hooks for what becomes of its run.",
        "execution/test_announcements.py::TestEachMove::test_from_its_start_to_its_end",
        "integration/test_hooks.py::"
        "test_each_hook_is_called_wherever_the_worker_is_killed",
        ours=(
            "They are called at least once, behind the commit, and cannot break the "
            "run."
        ),
        heading="docs/how-to/react.md#In the task: hooks",
    ),
    better(
        "A21",
        "A task says which errors are reported and passed over.",
        "execution/test_policies.py::TestPassedOver::test_the_run_goes_on_behind_it",
        "execution/test_retrials.py::TestOutcomes::test_what_succeeds_is_resolved",
        ours="It counts as failed, can be kept with its error, and be tried again.",
        heading="docs/how-to/errors.md#Trying dead letters again",
    ),
    shown(
        "A22",
        "A task says what it does itself about an error.",
        "execution/test_policies.py::TestHandle::test_that_returns_has_done_the_item",
    ),
    shown(
        "A23",
        "A task reads the metadata of its run.",
        "execution/test_executor.py::TestTask::test_has_the_metadata_of_its_run",
    ),
    shown(
        "A24",
        "A task reads its own file.",
        "tasks/collections/files/test_csv.py::TestFile::test_gives_rows_and_batches",
        "tasks/collections/files/test_csv.py::TestWalk::"
        "test_is_not_disturbed_by_another_reader",
    ),
    shown(
        "A25",
        "One can tell what kind of task it is.",
        "management/test_list.py::TestOne::"
        "test_is_described_with_its_place_and_parameters",
        "web/test_forms.py::TestEveryKindOfField::"
        "test_without_files_nothing_is_uploaded",
    ),
    shown(
        "A26",
        "What a class says holds for those below it, and theirs changes nothing above.",
        "tasks/test_base.py::TestClass::test_masks_what_its_parents_mask",
        "tasks/test_parameters.py::TestCollect::test_a_child_can_change_a_field",
        "tasks/test_parameters.py::TestCollect::test_a_mixin_brings_its_fields",
    ),
    shown(
        "A27",
        "Each worker that takes a run up has a task object of its own.",
        "execution/test_executor.py::TestTask::test_is_one_for_each_worker",
    ),
    shown(
        "A28",
        "The source that is shown is that of the class itself.",
        "web/test_sources.py::test_reads_as_it_is_written",
    ),
    shown(
        "B01",
        "Records are walked by key, page by page, and counted by the database.",
        "tasks/collections/test_querysets.py::TestWalk::test_costs_one_query_a_page",
        "tasks/collections/test_querysets.py::TestWalk::test_by_integer",
        "tasks/collections/test_querysets.py::TestWalk::test_counts_by_the_database",
    ),
    better(
        "B02",
        "What cannot be walked from the middle is refused.",
        "tasks/collections/test_querysets.py::TestRefusals::"
        "test_name_the_model_and_say_what_to_write",
        "tasks/collections/test_querysets.py::TestJoins::test_to_many_are_refused",
        ours=(
            "Each refusal says what to write instead, and an order is to be had by "
            "`cursor_fields`."
        ),
        heading="docs/how-to/collections.md#Records",
    ),
    better(
        "B03",
        "Records are walked in batches that keep the conditions of the whole.",
        "tasks/collections/test_batches.py::TestWalk::"
        "test_a_batch_keeps_the_conditions_of_the_whole",
        "execution/test_kinds_of_walk.py::test_batches",
        "execution/test_chunks.py::TestBatch::test_the_other_records_are_done",
        ours="Of one that fails the bad records are found, and the others are done.",
        heading="docs/how-to/errors.md#Rules",
    ),
    shown(
        "B04",
        "Options that batches do not have are refused.",
        "tasks/collections/test_batches.py::TestRefusals::"
        "test_of_options_that_it_does_not_have",
    ),
    shown(
        "B05",
        "A sequence is walked by position.",
        "tasks/collections/test_sequences.py::TestSequences::test_every_item_once",
        "tasks/collections/test_sequences.py::TestSequences::"
        "test_that_became_shorter_than_the_place_is_another",
    ),
    shown(
        "B06",
        "A file is walked by rows or by batches of them.",
        "tasks/collections/files/test_csv.py::TestWalk::test_every_row_once",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
    ),
    better(
        "B07",
        "A task of one step that is stopped by an error is performed again.",
        "execution/test_executor.py::TestJob::"
        "test_its_error_is_told_and_it_can_be_resumed",
        "execution/test_executor.py::TestJob::"
        "test_ended_behind_its_checkpoint_it_is_not_performed_again",
        ours="One that has ended is not, though its worker be stopped right behind it.",
        heading="docs/reference.md#Jobs",
    ),
    shown(
        "B08",
        "An iteration of one's own has cursors of one's own, and need not know how "
        "many there are.",
        "execution/test_kinds_of_walk.py::test_an_iteration_of_its_own",
        "tasks/collections/test_iterations.py::"
        "test_each_item_comes_once_wherever_the_walk_is_stopped",
    ),
    shown(
        "B09",
        "Whatever else a collection returns is refused by its type.",
        "tasks/collections/test_base.py::TestCollect::"
        "test_refuses_anything_else_by_its_type",
        "execution/test_executor.py::TestTask::"
        "test_whose_collection_cannot_be_walked_ends_as_errored",
    ),
    no_counterpart(
        "B10",
        "Enumerators are wrapped so that a library does not warn.",
        why="It is between two libraries of the reference.",
    ),
    shown(
        "B11",
        "Several columns order the walk, each row once among ties.",
        "tasks/collections/test_random_walks.py::test_each_row_that_stays_is_met_once",
        "tasks/collections/test_keysets.py::TestColumns::test_end_with_the_key",
    ),
    better(
        "B12",
        "A place of several columns is kept.",
        "execution/test_kinds_of_walk.py::test_records_by_other_columns",
        ours="Whatever stops the run, and with no setting.",
        heading="docs/how-to/collections.md#In another order",
    ),
    better(
        "B13",
        "A cursor may be more than text.",
        "tasks/collections/test_iterations.py::test_cursors_keep_their_types",
        ours="Always, and it comes back as the type that it was.",
        heading="docs/how-to/collections.md#Anything else",
    ),
    shown(
        "B14",
        "A key of several columns is walked.",
        "tasks/collections/test_random_walks.py::"
        "test_each_row_with_a_key_of_several_columns_is_met_once",
    ),
    shown(
        "B15",
        "A run over nothing has succeeded.",
        "execution/test_executor.py::TestChunks::test_an_empty_collection_succeeds",
    ),
    better(
        "B16",
        "Rows that come behind the place reached are walked as well.",
        "execution/test_executor.py::TestChunks::"
        "test_a_row_that_appears_ahead_is_done_and_one_behind_is_not",
        "tasks/collections/test_keysets.py::TestBounds::"
        "test_rows_that_come_meanwhile_are_left_out",
        ours="Unless the task is bounded: then it ends where it ended at the start.",
        heading="docs/how-to/collections.md#What happens when the table changes",
    ),
    better(
        "B17",
        "Rows that are deleted on the way are not met, and move nobody's place.",
        "tasks/collections/test_querysets.py::TestChangesOnTheWay::"
        "test_deleted_records_keep_the_place",
        "execution/test_executor.py::TestChunks::test_a_page_ends_with_its_chunk",
        ours="What is in memory is a chunk old at most.",
        heading="docs/how-to/collections.md#What happens when the table changes",
    ),
    no_counterpart(
        "B18",
        "Pages are fetched past the cache of queries.",
        why="Django's ORM has no cache that answers a second query.",
    ),
    no_counterpart(
        "B19",
        "The parallel enumerators of a library cannot be used.",
        why=(
            "It is a limit between two libraries of the reference, and nothing that "
            "one could do with it."
        ),
    ),
    shown(
        "C01",
        "The rows of a CSV file are given by the names of their columns.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
        "test_forms.py::TestClean::test_takes_every_kind_of_binary_file",
    ),
    shown(
        "C02",
        "The first line names the columns unless the field does; letters are in UTF-8.",
        "tasks/collections/files/test_csv.py::TestOptions::"
        "test_names_of_a_file_without_a_header_leave_no_row_out",
        "tasks/collections/files/test_csv.py::TestWalk::"
        "test_whatever_the_ends_of_lines",
    ),
    shown(
        "C03",
        "The field takes what the csv module can be told; a wrong encoding is named.",
        "tasks/collections/files/test_csv.py::TestOptions::test_give_the_same_rows",
        "tasks/collections/files/test_csv.py::TestErrors::test_names_the_line",
    ),
    shown(
        "C04",
        "Rows are counted exactly, and only estimated in files where that takes long.",
        "tasks/collections/files/test_csv.py::TestCount::test_is_exact",
        "tasks/collections/files/test_csv.py::TestCount::"
        "test_is_estimated_for_large_files",
    ),
    shown(
        "C05",
        "Rows come in lists of so many; progress counts them.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
        "tasks/collections/files/test_csv.py::TestFile::test_gives_rows_and_batches",
    ),
    shown(
        "C06",
        "Batches are counted, with newlines in values and without rows.",
        "tasks/collections/files/test_csv.py::TestCount::test_is_exact",
    ),
    shown(
        "C07",
        "The page asks for a CSV file, and the run keeps it.",
        "web/test_forms.py::TestEveryKindOfField::test_files_are_uploaded",
        "web/test_inputs.py::TestKinds::test_have_an_input_of_their_own",
    ),
    better(
        "C08",
        "A kept file has a name that fits it.",
        "tasks/test_uploads.py::TestSave::test_its_name_cannot_be_guessed",
        "tasks/test_parameters.py::TestDescribe::test_files_are_shown_by_name_and_size",
        ours="It cannot be guessed, and people are shown the one that it came with.",
        heading="docs/reference.md#Files",
    ),
    shown(
        "C09",
        "No file, a file too many and a file of another kind start no run.",
        "runs/test_intake.py::TestRefusal::test_of_a_missing_file",
        "runs/test_intake.py::TestRefusal::test_of_a_file_that_the_task_does_not_take",
        "tasks/collections/files/test_broken.py::test_starts_no_run",
    ),
    to_come(
        "C10",
        "The page of a run lets one download its file.",
        "tasks/test_parameters.py::TestDescribe::test_files_are_shown_by_name_and_size",
        area="downloads",
        missing="The page names the file and its size, and has no link to it.",
    ),
    better(
        "C11",
        "A file is gone on with at the row that comes next.",
        "execution/test_kinds_of_walk.py::test_a_file_and_its_batches",
        "tasks/collections/files/test_large.py::"
        "test_50_mb_of_csv_run_in_flat_memory_and_go_on_at_once",
        ours="By its byte, without reading what came before.",
        heading="docs/how-to/files.md#How to work with files",
    ),
    better(
        "C12",
        "A file is read when a worker takes the run up.",
        "tasks/collections/files/test_large.py::"
        "test_50_mb_of_csv_run_in_flat_memory_and_go_on_at_once",
        ours="Piece by piece: its size is not that of the memory.",
        heading="docs/how-to/files.md#How to work with files",
    ),
    shown(
        "C13",
        "The project says where files are kept.",
        "tasks/test_uploads.py::TestStorage::"
        "test_the_alias_of_the_settings_comes_before_all",
        "tasks/test_uploads.py::TestStorage::test_an_alias_named_upkeep_comes_first",
    ),
    better(
        "C14",
        "Who has set up no storage can use all the rest.",
        "tasks/test_uploads.py::TestStorage::"
        "test_without_settings_it_is_a_private_folder_of_the_project",
        ours="Files as well: they have a private folder.",
        heading="docs/reference.md#Files",
    ),
    shown(
        "D01",
        "A parameter is an attribute of the task wherever it works.",
        "tasks/test_base.py::TestParameters::test_are_attributes_cleaned",
        "dispatch/test_enqueue.py::TestRunNow::"
        "test_of_a_task_that_fails_returns_the_failed_run",
    ),
    shown(
        "D02",
        "A worker has the values, of their types, that the run was started with.",
        "tasks/test_parameters.py::TestStorage::"
        "test_a_worker_sees_what_the_caller_gave",
    ),
    shown(
        "D03",
        "Values are judged once, when the run is started.",
        "tasks/test_base.py::TestParameters::test_of_a_run_are_not_cleaned_again",
        "tasks/test_parameters.py::TestDeploys::"
        "test_what_is_refused_today_was_accepted_once",
    ),
    shown(
        "D04",
        "What is wrong is said by the name of its parameter, all at once.",
        "tasks/test_parameters.py::TestErrors::test_all_of_them_come_together",
        "web/test_forms.py::TestWrongValue::"
        "test_is_422_with_the_reason_beside_its_field",
    ),
    shown(
        "D05",
        "Parameters that the task does not have are named.",
        "tasks/test_parameters.py::TestErrors::test_all_of_them_come_together",
        "tasks/test_parameters.py::TestErrors::test_a_task_without_parameters_says_so",
    ),
    better(
        "D06",
        "A parameter that was taken away is no riddle for runs that had it.",
        "tasks/test_parameters.py::TestDeploys::"
        "test_a_parameter_that_is_gone_stops_the_run",
        "execution/test_executor.py::TestWhatIsGone::test_a_parameter",
        ours=(
            "They stop with its name and keep their place, and do not go on without it."
        ),
        heading=(
            "docs/how-to/parameters.md#Changing parameters while runs are under way"
        ),
    ),
    shown(
        "D07",
        "Long values are no trouble.",
        "runs/test_intake.py::TestWrite::test_keeps_long_values_whole",
    ),
    shown(
        "D08",
        "Where nothing is given, what must be given is missed.",
        "tasks/test_parameters.py::TestLeftOut::"
        "test_without_an_initial_the_field_decides",
    ),
    shown(
        "D09",
        "Each kind of parameter has its kind of input, with what it is by itself.",
        "web/test_inputs.py::TestKinds::test_have_an_input_of_their_own",
        "web/test_inputs.py::TestDatesAndTimes::"
        "test_are_asked_for_by_the_browser_in_the_projects_terms",
        "web/test_forms.py::TestValuesBeforehand::test_an_initial_one_shows",
    ),
    shown(
        "D10",
        "A list begins with the wish to choose, unless something is chosen.",
        "web/test_inputs.py::TestChoices::test_none_is_chosen_by_itself",
        "web/test_inputs.py::TestChoices::"
        "test_where_one_is_or_none_may_be_nothing_is_added",
    ),
    better(
        "D11",
        "Choices come from where the project has them.",
        "web/test_inputs.py::TestChoices::test_none_is_chosen_by_itself",
        "tasks/test_parameters.py::TestPythonValues::test_a_value_is_taken_as_it_is",
        "web/test_inputs.py::TestRecords::test_a_few_are_a_list",
        ours=(
            "A list, an enum, a function that is asked each time, or the records of a "
            "model."
        ),
        heading="docs/how-to/parameters.md#Choices",
    ),
    shown(
        "D12",
        "One sees what must be given and what may be left out.",
        "web/test_inputs.py::TestKinds::test_say_what_may_be_left_out",
    ),
    shown(
        "D13",
        "A moment is asked for with the time zone that it is read in.",
        "web/test_inputs.py::TestDatesAndTimes::test_say_in_which_zone_they_are_read",
    ),
    shown(
        "D14",
        "A link fills in the form, and what the task does not know in it is passed "
        "over.",
        "web/test_forms.py::TestValuesBeforehand::test_the_address_can_name_every_kind",
        "web/test_forms.py::TestValuesBeforehand::"
        "test_a_name_that_the_task_does_not_know_is_passed_over",
    ),
    better(
        "D15",
        "After a mistake the form has what was sent.",
        "web/test_forms.py::TestWrongValue::test_keeps_the_rest_of_the_form",
        "web/test_kept.py::TestKept::test_it_need_not_be_uploaded_again",
        ours="Files too, which need not be chosen again.",
        heading="docs/how-to/parameters.md#Files",
    ),
    shown(
        "D16",
        "What somebody is typing outlives the news of the runs.",
        "browser/test_polling.py::test_what_is_typed_into_a_form_stays",
    ),
    shown(
        "D17",
        "The page of a run has its parameters, in the order of the task.",
        "web/test_every_field.py::"
        "test_a_worker_sees_what_was_given_and_people_may_read_it",
        "tasks/test_parameters.py::TestDescribe::test_the_tasks_own_order_comes_first",
    ),
    shown(
        "D18",
        "A form is sent whole: a box that is not ticked is no, whatever it is by "
        "itself.",
        "web/test_forms.py::TestEveryKindOfField::test_is_shown_and_starts_a_run",
    ),
    shown(
        "E01",
        "A masked value is [FILTERED] on the page of its run.",
        "web/test_forms.py::TestSecrets::test_are_not_shown_of_a_run",
    ),
    shown(
        "E02",
        "Words in the settings mask parameters of all tasks.",
        "tasks/test_masks.py::TestNames::"
        "test_a_word_of_the_settings_masks_every_name_it_is_a_part_of",
    ),
    shown(
        "E03",
        "A word masks every name that it is a part of, in capitals or not.",
        "tasks/test_masks.py::TestNames::"
        "test_a_word_of_the_settings_masks_every_name_it_is_a_part_of",
    ),
    better(
        "E04",
        "A masked value is shown nowhere else.",
        "web/test_forms.py::TestSecrets::"
        "test_are_not_shown_again_when_something_is_wrong",
        "web/test_forms.py::TestSecrets::test_are_not_taken_from_the_address",
        "execution/test_masks.py::test_no_error_tells",
        "execution/test_masks.py::test_no_line_of_a_log_and_no_result_tells",
        ours=(
            "Not in the form, the address, log lines, results, errors, JSON and the "
            "command line either."
        ),
        heading="docs/reference.md#Masked parameters",
    ),
]

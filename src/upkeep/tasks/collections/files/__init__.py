"""Files of rows: CSV, JSON Lines and XLSX, each walked by row or by batch."""

from upkeep.tasks.collections.files.base import (
    FileBatches,
    FileCollection,
    Row,
    RowsFile,
)
from upkeep.tasks.collections.files.csv import CSVFile, CSVFormat
from upkeep.tasks.collections.files.jsonlines import JSONLinesFile, JSONLinesFormat
from upkeep.tasks.collections.files.xlsx import XLSXFile, XLSXFormat

__all__ = [
    "CSVFile",
    "CSVFormat",
    "FileBatches",
    "FileCollection",
    "JSONLinesFile",
    "JSONLinesFormat",
    "Row",
    "RowsFile",
    "XLSXFile",
    "XLSXFormat",
]

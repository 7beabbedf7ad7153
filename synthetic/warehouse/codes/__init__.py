"""Versioned code lists with titles: `code_list(name)`."""

from synthetic.warehouse.codes.reader import VERSIONS, Code, code_list, rows

__all__ = ["VERSIONS", "Code", "code_list", "rows"]

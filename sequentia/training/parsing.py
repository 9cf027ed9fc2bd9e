"""A parser's error, in words that tell the user what is wrong."""

import re


def first_cause(error: BaseException) -> str:
    """The words of a parser's error that tell the user what is wrong, on one line.

    jsonargparse tries each type that an option may have, and tells of all of them, nested; the innermost of the first
    is what the option is for.
    """
    text = " ".join(str(error).split())
    keys = [key for key in re.findall(r'Parser key "([^"]+)":', text) if key != "config"]
    option = f"--{'.init_args.'.join(keys)}: " if keys else ""
    for pattern, words in _CAUSES:
        if match := re.search(pattern, text):
            return option + words.format(*match.groups()) + "; see `sequentia fit --help`"
    return f"{text}; see `sequentia fit --help`"


_CAUSES = (
    (r"File does not exist: (.+)", "no config file {}: give an existing YAML file"),
    (r"unrecognized arguments: (.+)", "no such option: {}"),
    (r"Option '([^']+)' is not accepted", "there is no option {}"),
    (r"does not accept option '([^']+)'", "there is no option {}"),
    (r"(?:fit|validate|test)\.(\w+)$", "give --{0}, or a --config that has {0}"),
    (r"Problems parsing config: (.+)", "the config is no plain YAML: {}"),
    (r"Unexpected config: (.+)", "the config is no YAML of options: {}"),
    (r"Not of type timedelta: (.+?) (?:- Expected|Given)", "{}"),
    (r"Expected a <class 'float'> - Expected a dot import path string: (\S+)", "{!r} is no number"),
    (r"Expected a dot import path string: (\S+)", "there is no class {}"),
    (r"- Expected a <class '(\w+)'> - Expected a <class 'NoneType'> .*Given value: (.+)$", "{1!r} is no {0}"),
    (r"Expected a <class '(\w+)'>\. Got value: (.+?)(?: - Expected a <class 'NoneType'>.*)?$", "{1!r} is no {0}"),
)
"""What jsonargparse says -> what to tell the user of it; the first that matches counts."""

"""One JSON object per line on stderr, with the trace it belongs to."""

import json
import logging
import time

from opentelemetry import trace

# Everything a LogRecord carries by itself, and uvicorn's message a second time in colours; what is
# left came from ``extra=``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "color_message", "message"}
_OWN |= {"taskName"}


class JsonFormatter(logging.Formatter):
    """Renders time (UTC, microseconds), level, logger, message, trace id, extras and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self._time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace"] = trace.format_trace_id(span.trace_id)
        line.update({k: v for k, v in vars(record).items() if k not in _OWN and k not in line})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)

    @staticmethod
    def _time(record: logging.LogRecord) -> str:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{whole}.{int(record.created % 1 * 1_000_000):06d}Z"

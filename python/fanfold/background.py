"""`submit` and `arun`: `run` in the background, for threads and for asyncio. How futures work is in `futures`."""

from functools import partial
from typing import TYPE_CHECKING, Any

from fanfold.api import run
from fanfold.results import Results
from fanfold.signatures import with_parameters_of
from fanfold.tracebacks import show_at_the_call

if TYPE_CHECKING:
    from fanfold.futures import RunFuture


@with_parameters_of(run, "concurrent.futures.Future")
def submit(*data_and_functions: Any, **options: Any) -> "RunFuture":
    """Begin a call of `run` in the background.

    As many calls compute at a time as there are workers, and they share the workers. The others wait their turn. Calls
    that have not ended when the interpreter exits are cancelled.

    Parameters
    ----------
    data, functions, workers, axis, …
        As in `run`. A callable of `progress` is called in the background too.

    Returns
    -------
    concurrent.futures.Future
        It gives the `Results`, or raises what `run` raises: mistakes in the call too. Until then `cancel` ends the call
        within a tenth of a second, and so does Ctrl-C in whoever waits for the result; functions that do not return by
        then are left behind in their threads. `concurrent.futures.wait`, `as_completed` and `asyncio.wrap_future` take
        it.

    Examples
    --------
    >>> import numpy as np, fanfold as ff
    >>> future = ff.submit(np.arange(4.0), ["mean", "max"])
    >>> future.result()["mean"]
    np.float64(1.5)
    """
    from fanfold.futures import submitted

    return submitted(partial(run, *data_and_functions, **options))


@with_parameters_of(run, Results)
async def arun(*data_and_functions: Any, **options: Any) -> Results:
    """Run functions without blocking the event loop: ``await ff.arun(x, "mean")``.

    When the task is cancelled, or `asyncio.timeout` ends it, the work stops too. For trio and anyio, pass `run` to
    ``anyio.to_thread.run_sync``.

    Parameters
    ----------
    data, functions, workers, axis, …
        As in `run`.

    Returns
    -------
    Results

    Examples
    --------
    >>> import asyncio, numpy as np, fanfold as ff
    >>> async def main():
    ...     return await ff.arun(np.arange(4.0), "mean")
    >>> dict(asyncio.run(main()))
    {'mean': np.float64(1.5)}
    """
    import asyncio  # takes 50 ms

    try:
        from fanfold.futures import submitted

        return await asyncio.wrap_future(submitted(partial(run, *data_and_functions, **options)))
    except Exception as error:
        show_at_the_call(error)
        raise

"""The table of `dualface bench`: medians, and ratios of runs of the same round."""

from __future__ import annotations

from daemon.cli.bench import Round, Run, table

MIB = 2**20


def ran(wall_s: float, cpu_s: float = 0.0, mib: int = 0) -> Run:
    return Run(wall_s, cpu_s, mib * MIB)


def one_round(ours_s: float) -> Round:
    return Round(
        ours=ran(ours_s, 20, 900), static_crop=ran(5, 10, 300), encode=ran(7, 12), decode_result=ran(2, 3),
        decode_source=ran(1, 1),
    )  # fmt: skip


def test_the_least_is_decoding_the_recording_and_x264_without_the_decoding_that_feeds_it() -> None:
    assert one_round(9).least("wall_s") == 6
    assert one_round(9).least("cpu_s") == 10


def test_the_table_has_medians_of_all_rounds_and_of_their_ratios() -> None:
    lines = table("x.mp4", [one_round(9), one_round(12), one_round(15)]).splitlines()
    assert lines[0] == "### x.mp4 (3 rounds, medians)"
    assert lines[4:7] == [
        "| wall | 12.0 s | 5.0 s | 2.40 | 6.0 s | 2.00 |",
        "| CPU, all cores | 20.0 s | 10.0 s | 2.00 | 10.0 s | 2.00 |",
        "| peak memory | 900.0 MiB | 300.0 MiB | 3.00 | | |",
    ]

"""tasks.py - what tasks cost in asyncio, or in uvloop when that is the third word; see tasks.c."""

import asyncio
import os
import pathlib
import sys
import time

YIELDERS = 100


def per_item(began, count):
    print(f"{(time.monotonic() - began) * 1e9 / count:.2f}")


async def bench_switch(count):
    each = count // YIELDERS

    async def yielder():
        for _ in range(each):
            await asyncio.sleep(0)

    began = time.monotonic()
    await asyncio.gather(*[yielder() for _ in range(YIELDERS)])
    per_item(began, each * YIELDERS)


async def bench_handover(count):
    turns = [asyncio.Semaphore(1), asyncio.Semaphore(0)]

    async def hand_over(self):
        for _ in range(count // 2):
            await turns[self].acquire()
            turns[1 - self].release()

    began = time.monotonic()
    await asyncio.gather(hand_over(0), hand_over(1))
    per_item(began, count)


async def bench_spawn(count):
    async def nothing():
        return 0

    began = time.monotonic()
    for _ in range(count):
        await asyncio.create_task(nothing())
    per_item(began, count)


async def bench_sleep(count):
    began = time.monotonic()
    await asyncio.gather(*[asyncio.sleep(1) for _ in range(count)])
    print(f"{time.monotonic() - began:.4f}")


def resident_bytes():
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


async def bench_resident(count):
    before = resident_bytes()
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(count)]
    await asyncio.sleep(0.2)
    print(f"{(resident_bytes() - before) / len(tasks):.1f}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[3:] == ["uvloop"]:
        import uvloop
        uvloop.install()
    asyncio.run({"switch": bench_switch, "handover": bench_handover, "spawn": bench_spawn,
                 "sleep": bench_sleep, "resident": bench_resident}[sys.argv[1]](int(sys.argv[2])))

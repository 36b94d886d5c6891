"""clients.py - asyncpg and aiohttp at work, on uvloop; see clients.c for the arguments."""

import asyncio
import sys
import time

import uvloop

PG_CONNECTIONS = 4


async def run_tasks(tasks, count, one):
    left = count

    async def task():
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    await one()
    began = time.monotonic()
    await asyncio.gather(*[task() for _ in range(tasks)])
    print(f"{count / (time.monotonic() - began):.0f}")


async def bench_http(where, tasks, count):
    import aiohttp
    connector = aiohttp.TCPConnector(limit=tasks)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def one():
            async with session.get(where) as response:
                assert response.status == 200 and len(await response.read()) == 1024

        await run_tasks(tasks, count, one)


async def bench_pg(where, tasks, count):
    import asyncpg
    async with asyncpg.create_pool(where, min_size=PG_CONNECTIONS,
                                   max_size=PG_CONNECTIONS) as pool:
        # each task keeps to one connection: asking the pool each time would be slower
        connections = [await pool.acquire() for _ in range(PG_CONNECTIONS)]
        free = asyncio.Queue()
        for connection in connections:
            free.put_nowait(connection)

        async def one():
            connection = await free.get()
            try:
                assert len(await connection.fetch("SELECT 1")) == 1
            finally:
                free.put_nowait(connection)

        await run_tasks(min(tasks, PG_CONNECTIONS), count, one)
        for connection in connections:
            await pool.release(connection)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run({"http": bench_http, "pg": bench_pg}[sys.argv[1]](
        sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

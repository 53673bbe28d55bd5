"""The vein-to-vein model of bench_simulation.py in SimPy, Ciw and salabim.

Run by that script, in an environment of its own: `simulation_peers.py ENGINE JOURNEYS SEED`
prints one line of JSON: seconds, journeys finished, mean vein-to-vein time.
"""

import json
import math
import random
import sys
import time

CHAIRS, SUITES, BEDS = 2, 14, 14
FAILS = 0.08
ARRIVE, CHAIR, BED = 1.0, 1.0, 10.0


def transport(r):
    return r.triangular(1.0, 2.0, 1.5)


def manufacture(r):
    return r.lognormvariate(math.log(9.0), 0.2)


def control(r):
    return r.triangular(5.0, 7.0, 6.0)


def simpy_run(journeys, seed):
    import simpy

    r = random.Random(seed)
    env = simpy.Environment()
    chairs, suites, beds = (simpy.Resource(env, c) for c in (CHAIRS, SUITES, BEDS))
    times = []

    def journey():
        with chairs.request() as place:
            yield place
            yield env.timeout(CHAIR)
        start = env.now
        yield env.timeout(transport(r))
        while True:
            with suites.request() as place:
                yield place
                yield env.timeout(manufacture(r))
            yield env.timeout(control(r))
            if r.random() >= FAILS:
                break
        yield env.timeout(transport(r))
        with beds.request() as place:
            yield place
            times.append(env.now - start)
            yield env.timeout(r.expovariate(1 / BED))

    def arrivals():
        for _ in range(journeys):
            yield env.timeout(r.expovariate(1 / ARRIVE))
            env.process(journey())

    env.process(arrivals())
    env.run()
    return times


def ciw_run(journeys, seed):
    import ciw

    class Made(ciw.dists.Distribution):
        def __init__(self, draw):
            super().__init__()
            self.draw = draw

        def sample(self, t=None, ind=None):
            return self.draw(random)

    inf, none = float("inf"), None
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(1 / ARRIVE), none, none, none, none, none],
        service_distributions=[
            ciw.dists.Deterministic(CHAIR), Made(transport), Made(manufacture), Made(control),
            Made(transport), ciw.dists.Exponential(1 / BED),
        ],
        number_of_servers=[CHAIRS, inf, SUITES, inf, inf, BEDS],
        routing=[
            [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, FAILS, 0.0, 1 - FAILS, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0] * 6,
        ],
    )  # fmt: skip
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(journeys, method="Finish")
    start, end = {}, {}
    for record in simulation.get_all_records():
        if record.node == 1:
            start[record.id_number] = record.exit_date
        elif record.node == 6:
            end[record.id_number] = record.service_start_date
    return [end[k] - start[k] for k in end]


def salabim_run(journeys, seed):
    import salabim as sim

    sim.yieldless(False)
    r = random.Random(seed)
    env = sim.Environment(trace=False)
    chairs, suites, beds = (sim.Resource(capacity=c, env=env) for c in (CHAIRS, SUITES, BEDS))
    times = []

    class Journey(sim.Component):
        def process(self):
            yield self.request(chairs)
            yield self.hold(CHAIR)
            self.release()
            start = env.now()
            yield self.hold(transport(r))
            while True:
                yield self.request(suites)
                yield self.hold(manufacture(r))
                self.release()
                yield self.hold(control(r))
                if r.random() >= FAILS:
                    break
            yield self.hold(transport(r))
            yield self.request(beds)
            times.append(env.now() - start)
            yield self.hold(r.expovariate(1 / BED))
            self.release()

    class Arrivals(sim.Component):
        def process(self):
            for _ in range(journeys):
                yield self.hold(r.expovariate(1 / ARRIVE))
                Journey(env=env)

    Arrivals(env=env)
    env.run()
    return times


if __name__ == "__main__":
    engine, journeys, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    run = {"simpy": simpy_run, "ciw": ciw_run, "salabim": salabim_run}[engine]
    began = time.process_time()
    times = run(journeys, seed)
    seconds = time.process_time() - began
    tail = times[len(times) // 10 :]  # the system starts empty: leave the beginning out
    print(json.dumps({"seconds": seconds, "n": len(times), "mean": sum(tail) / len(tail)}))

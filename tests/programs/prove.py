"""Executes a function of a program on all values at once: prove.py PROGRAM RULES NUMBERS NAME

PROGRAM is a test's executable, as cargo built it, with a function `RULES::NAME`. angr executes its machine code with a symbol in
place of each number that `NUMBERS::any` would give, and goes on with both sides of each branch that the symbols leave open, so
that one path stands for all values that take it. A path that comes to a panic is a finding, and so is one that cannot be
followed to its end. Only where all paths end well, and each place that `NUMBERS::places` announced was come to, does what the
function asserts hold for all values.

It prints one line of JSON: how many paths there are, and what was found.
"""
import json
import logging
import sys

import angr
import claripy
import claripy.backends.backend_z3 as backend
import z3
from angr.concretization_strategies.solutions import SimConcretizationStrategySolutions

# A symbolic address may be one of so many; one that may be more ends its path as one that cannot be followed.
ADDRESSES = 64
# What a copy of a symbolic length is parted into.
LENGTHS = 129
OPTIONS = {angr.options.ZERO_FILL_UNCONSTRAINED_MEMORY, angr.options.ZERO_FILL_UNCONSTRAINED_REGISTERS}


def bit_vectors(self, timeout=None, max_memory=None):
    """A solver for what these paths ask: z3's general one takes minutes for what this one says at once."""
    solver = z3.Tactic("qfbv", ctx=self._context).solver()
    solver.set("timeout", timeout or 300_000)
    return solver


class Any(angr.SimProcedure):
    """A number that may be any."""

    def run(self):
        number = claripy.BVS(f"any{len(self.state.globals['any'])}", 64)
        self.state.globals["any"] += (number,)
        return number


class Places(angr.SimProcedure):
    def run(self, count):
        self.state.globals["places"] = self.state.solver.eval_one(count[31:0])


class Reached(angr.SimProcedure):
    def run(self, place):
        place = self.state.solver.eval_upto(place[31:0], ADDRESSES)
        self.state.globals["reached"] |= frozenset(place)


class Panic(angr.SimProcedure):
    """What must not be come to."""

    NO_RET = True

    def run(self, what=""):
        values = [self.state.solver.eval(number) for number in self.state.globals["any"]]
        self.state.globals["panic"] = f"{what} where any() gives {', '.join(map(hex, values))}"
        self.exit(101)


class Copy(angr.SimProcedure):
    """memcpy and memmove."""

    def run(self, to, source, length):
        lengths = self.state.solver.eval_upto(length, LENGTHS)
        if len(lengths) == LENGTHS:
            raise ValueError("a copy of any length")
        if len(lengths) > 1:
            self.inhibit_autoret = True
            for one in lengths:
                self.successors.add_successor(self.state.copy(), self.state.addr, length == one, "Ijk_Boring")
            return None
        if lengths[0]:
            self.state.memory.store(to, self.state.memory.load(source, lengths[0]))
        return to


class Fill(angr.SimProcedure):
    """memset, of a length that is known."""

    def run(self, to, byte, length):
        length = self.state.solver.eval_one(length)
        if length:
            self.state.memory.store(to, claripy.Concat(*[byte[7:0]] * length))
        return to


class Allocate(angr.SimProcedure):
    """malloc; memory is 0 where nobody wrote."""

    def run(self, size):
        return self.state.heap.allocate(self.state.solver.eval_one(size))


class AllocateZeroed(angr.SimProcedure):
    """calloc."""

    def run(self, count, size):
        return self.state.heap.allocate(self.state.solver.eval_one(count * size))


class Free(angr.SimProcedure):
    def run(self, _):
        return None


class Program:
    def __init__(self, path, numbers):
        self.project = angr.Project(path, auto_load_libs=False, use_sim_procedures=False)
        self.symbols = [symbol for symbol in self.project.loader.main_object.symbols if symbol.is_function]
        for name, procedure in [("any", Any), ("places", Places), ("reached", Reached)]:
            self.project.hook(self.address(numbers, name), procedure())
        panics = [symbol for symbol in self.symbols if "4core9panicking" in symbol.name or "17rust_begin_unwind" in symbol.name]
        if not panics:
            sys.exit("the program has no names of functions")
        for symbol in panics:
            self.project.hook(symbol.rebased_addr, Panic(what=symbol.name))
        library = {"memcpy": Copy, "memmove": Copy, "memset": Fill, "malloc": Allocate, "calloc": AllocateZeroed, "free": Free}
        for name in self.project.loader.main_object.imports:
            procedure = library.get(name)
            self.project.hook_symbol(name, procedure() if procedure else Panic(what=f"a call of {name}"), replace=True)

    def address(self, module, name):
        # As both of Rust's ways to mangle names write them.
        mangled = f"{len(module)}{module}{len(name)}{name}"
        found = {symbol.rebased_addr for symbol in self.symbols if mangled in symbol.name}
        if len(found) != 1:
            sys.exit(f"the program has {len(found)} functions {module}::{name}")
        return found.pop()

    def prove(self, rules, rule):
        state = self.project.factory.call_state(self.address(rules, rule), add_options=OPTIONS)
        state.memory.read_strategies = [SimConcretizationStrategySolutions(ADDRESSES)]
        state.memory.write_strategies = [SimConcretizationStrategySolutions(ADDRESSES)]
        for name, value in {"any": (), "places": None, "reached": frozenset(), "panic": None}.items():
            state.globals[name] = value
        paths, findings, places, reached, rest = 0, set(), None, frozenset(), [state]
        while rest:
            # The latest first: there are never many.
            state = rest.pop()
            try:
                successors = self.project.factory.successors(state)
            except Exception as error:  # Whatever stops angr leaves a path that nobody followed.
                findings.add(f"cannot be followed at {state.addr:#x}: {error!r}")
                continue
            if successors.unconstrained_successors:
                findings.add(f"goes anywhere from {state.addr:#x}")
            for after in successors.flat_successors:
                if after.history.jumpkind == "Ijk_Exit" or after.addr == self.project.simos.return_deadend:
                    paths += 1
                    places = after.globals["places"] if places is None else places
                    reached |= after.globals["reached"]
                    if after.globals["panic"]:
                        findings.add(after.globals["panic"])
                elif after.history.jumpkind in ("Ijk_Boring", "Ijk_Call", "Ijk_Ret"):
                    rest.append(after)
                else:
                    findings.add(f"{after.history.jumpkind} at {after.addr:#x}")
        missing = sorted(set(range(places or 0)) - reached)
        if missing or not places:
            findings.add(f"no value comes to the places {missing} of {places}")
        return {"paths": paths, "findings": sorted(findings)}


def main():
    logging.disable(logging.ERROR)
    backend.BackendZ3.solver = bit_vectors
    path, rules, numbers, name = sys.argv[1:]
    print(json.dumps(Program(path, numbers).prove(rules, name)))


main()

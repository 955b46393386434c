"""The faults OCX can be told to have; they are those of every simulated venue."""

from venues.simulation.faults import Fault, FaultKind, FaultPlan, Site

__all__ = ["Fault", "FaultKind", "FaultPlan", "Site"]

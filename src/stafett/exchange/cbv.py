"""The words of the Core Business Vocabulary 2.0 and their three spellings.

A CBV value may be written as a bare word (`shipping`), a Web URI
(`https://ref.gs1.org/cbv/BizStep-shipping`), a URN of version 1 (`urn:epcglobal:cbv:bizstep:
shipping`) or a CURIE (`cbv:BizStep-shipping`). They are one value; comparison is on the Web URI.
Source of the words: CBV 2.0 (ref.gs1.org/standards/cbv); EPCIS 2.0 §10 for the spellings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACTIONS: Final = ("OBSERVE", "ADD", "DELETE")
EVENT_TYPES: Final = (
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
)

BIZ_STEPS: Final = _words(
    """accepting arriving assembling collecting commissioning consigning creating_class_instance
    cycle_counting decommissioning departing destroying disassembling dispensing encoding
    entering_exiting holding inspecting installing killing loading other packing picking
    receiving removing repackaging repairing replacing reserving retail_selling sampling
    sensor_reporting shipping staging_outbound stock_taking stocking storing transporting
    unloading unpacking void_shipping"""
)
DISPOSITIONS: Final = _words(
    """active available completeness_inferred completeness_verified conformant container_closed
    container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit
    inactive mismatch_class mismatch_instance mismatch_quantity needs_replacement
    no_pedigree_match non_conformant non_sellable_other partially_dispensed recalled reserved
    retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable
    unknown"""
)
BIZ_TRANSACTION_TYPES: Final = _words(
    """bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"""
)
SOURCE_DESTINATION_TYPES: Final = _words("""owning_party possessing_party location""")
ERROR_REASONS: Final = _words("""did_not_occur incorrect_data""")
COMPONENTS: Final = _words(
    """x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting
    northing latitude longitude altitude"""
)
SENSOR_ALERTS: Final = _words("""ALARM_CONDITION ERROR_CONDITION""")
MEASUREMENTS: Final = _words(
    """AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
    AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity
    Area Capacitance Conductance Conductivity Count Density Dimensionless DoseEquivalent
    DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent ElectricCurrentDensity
    ElectricFieldStrength Energy Exposure Force Frequency Illuminance Inductance Irradiance
    KinematicViscosity Length LinearMomentum Luminance LuminousFlux LuminousIntensity
    MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration
    MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass
    MolarVolume Power Pressure RadiantFlux RadiantIntensity Radioactivity RelativeHumidity
    Resistance Resistivity SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension
    Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux
    Wavenumber"""
)

CBV: Final = "https://ref.gs1.org/cbv/"
GS1_VOC: Final = "https://gs1.org/voc/"

# kind -> (prefix of the Web URI, prefix of the URN of version 1, the bare words)
KINDS: Final[dict[str, tuple[str, str, frozenset[str]]]] = {
    "bizStep": (CBV + "BizStep-", "urn:epcglobal:cbv:bizstep:", BIZ_STEPS),
    "disposition": (CBV + "Disp-", "urn:epcglobal:cbv:disp:", DISPOSITIONS),
    "bizTransaction": (CBV + "BTT-", "urn:epcglobal:cbv:btt:", BIZ_TRANSACTION_TYPES),
    "sourceDest": (CBV + "SDT-", "urn:epcglobal:cbv:sdt:", SOURCE_DESTINATION_TYPES),
    "errorReason": (CBV + "ER-", "urn:epcglobal:cbv:er:", ERROR_REASONS),
    "component": (CBV + "Comp-", "urn:epcglobal:cbv:comp:", COMPONENTS),
    "measurement": (GS1_VOC, "urn:epcglobal:cbv:meas:", MEASUREMENTS),
    "alert": (GS1_VOC, "urn:epcglobal:cbv:alert:", SENSOR_ALERTS),
}
_ALIASES: Final = {"https://www.gs1.org/voc/": GS1_VOC, "gs1:": GS1_VOC, "cbv:": CBV}


@lru_cache(maxsize=4096)
def web_uri(kind: str, value: str) -> str:
    """Give the Web URI of a CBV value in any of its spellings; other URIs come back unchanged.

    >>> web_uri("bizStep", "urn:epcglobal:cbv:bizstep:shipping")
    'https://ref.gs1.org/cbv/BizStep-shipping'
    >>> web_uri("bizStep", "https://example.org/steps/leukapheresis")
    'https://example.org/steps/leukapheresis'
    """
    web, urn, words = KINDS[kind]
    if value in words:
        return web + value
    if value.startswith(urn):
        return web + value[len(urn) :]
    for alias, full in _ALIASES.items():
        if value.startswith(alias):
            return full + value[len(alias) :]
    if ":" not in value:  # a word that this version of the vocabulary does not know
        return web + value
    return value


def bare_word(kind: str, value: str) -> str:
    """Give the bare word where the value belongs to the vocabulary, else the URI itself."""
    uri = web_uri(kind, value)
    web, _, words = KINDS[kind]
    word = uri[len(web) :] if uri.startswith(web) else ""
    return word if word in words else uri

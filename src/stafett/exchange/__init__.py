"""The field's languages: EPCIS, FHIR, OCEL and XES, CloudEvents, dossiers."""

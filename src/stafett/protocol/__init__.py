"""The language in which a delivery chain is described once: model, reading, net, proof, drawing."""

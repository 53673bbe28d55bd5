# Makes the data and the expected answers for tests/insight/test_layers.py and test_glmm.py.
# Run by hand where R with lme4 is installed: Rscript make.R (in this folder). Tests never need R.
suppressMessages(library(lme4))
set.seed(20261123)
num <- function(x) paste0("[", paste(formatC(x, digits = 12, format = "g"), collapse = ", "), "]")
str <- function(x) paste0("[", paste0('"', x, '"', collapse = ", "), "]")
level <- function(prefix, i) sprintf("%s%03d", prefix, i)
write_csv <- function(d, f) write.csv(d, f, row.names = FALSE, quote = FALSE)

# Two optimisers with tight ends; the better criterion is taken, so that a wrong stop is no fixture.
tight <- list(
  lmerControl(optimizer = "nlminbwrap", check.conv.singular = "ignore"),
  lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9), check.conv.singular = "ignore"))
best <- function(formula, data) {
  fits <- lapply(tight, function(control) suppressWarnings(lmer(formula, data, control = control)))
  fits[[which.min(sapply(fits, REMLcrit))]]
}
linear <- function(formula, data, factors, without = NULL) {
  m <- best(formula, data)
  v <- as.data.frame(VarCorr(m)); sd <- v$sdcor[match(factors, v$grp)]
  r <- ranef(m, condVar = TRUE)
  last <- r[[factors[length(factors)]]]
  cond <- sqrt(as.vector(attr(last, "postVar")))
  drop <- if (is.null(without)) "null" else formatC(REMLcrit(best(without, data)), digits = 12, format = "g")
  sprintf('{"factors": %s, "sd": %s, "sigma": %.12g, "beta": %s, "se": %s, "criterion": %.12g,\n "criterion_without_last": %s, "labels": %s, "effects": %s, "effects_sd": %s}',
          str(factors), num(sd), sigma(m), num(fixef(m)), num(sqrt(diag(as.matrix(vcov(m))))), REMLcrit(m),
          drop, str(rownames(last)), num(last[[1]]), num(cond))
}

n <- 600
crossed <- data.frame(patient = level("p", sample(120, n, TRUE)), operator = level("o", sample(12, n, TRUE)),
                      site = level("s", sample(7, n, TRUE, prob = 7:1)), x = round(rnorm(n), 4))
effect <- function(f, sd) { f <- factor(f); rnorm(nlevels(f), 0, sd)[f] }
crossed$y <- round(with(crossed, 2 + 0.5 * x + effect(patient, 1) + effect(operator, 0.4) + effect(site, 0.8) + rnorm(n, 0, 0.7)), 6)
write_csv(crossed, "crossed.csv")

n <- 500
site <- sample(9, n, TRUE); team <- sample(3, n, TRUE); patient <- sample(12, n, TRUE)
nested <- data.frame(site = level("s", site), team = sprintf("s%03d-t%d", site, team), patient = sprintf("s%03d-p%02d", site, patient))
nested$y <- round(with(nested, 5 + effect(site, 0.6) + effect(team, 0.5) + effect(patient, 1.1) + rnorm(n, 0, 1)), 6)
write_csv(nested, "nested.csv")

n <- 300
singular <- data.frame(patient = level("p", sample(60, n, TRUE)), operator = level("o", sample(10, n, TRUE)))
singular$y <- round(with(singular, effect(patient, 1)) + rnorm(n), 6)
singular$y <- round(singular$y - ave(singular$y, singular$operator) + mean(singular$y), 6)  # operators all alike
write_csv(singular, "singular.csv")

n <- 1500
binary <- data.frame(patient = level("p", rep(1:300, each = 5)), site = level("s", sample(8, n, TRUE)), x = round(rnorm(n), 4))
binary$y <- rbinom(n, 1, plogis(with(binary, -0.5 + 0.8 * x + effect(patient, 0.9) + effect(site, 0.5))))
write_csv(binary, "binary.csv")
logistic <- function(formula, factors, agq) {
  m <- glmer(formula, binary, family = binomial, nAGQ = agq,
             control = glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9)))
  v <- as.data.frame(VarCorr(m))
  sprintf('{"factors": %s, "sd": %s, "beta": %s, "deviance": %.12g}', str(factors), num(v$sdcor[match(factors, v$grp)]), num(fixef(m)), -2 * as.numeric(logLik(m)))
}

out <- c(
  sprintf('"made_with": "lme4 %s"', packageVersion("lme4")),
  paste0('"crossed": ', linear(y ~ x + (1 | patient) + (1 | operator) + (1 | site), crossed, c("patient", "operator", "site"), y ~ x + (1 | patient) + (1 | operator))),
  paste0('"nested": ', linear(y ~ 1 + (1 | patient) + (1 | team) + (1 | site), nested, c("patient", "team", "site"), y ~ 1 + (1 | patient) + (1 | team))),
  paste0('"singular": ', linear(y ~ 1 + (1 | patient) + (1 | operator), singular, c("patient", "operator"), y ~ 1 + (1 | patient))),
  paste0('"binary_laplace": ', logistic(y ~ x + (1 | patient) + (1 | site), c("patient", "site"), 1)),
  paste0('"binary_together": ', logistic(y ~ x + (1 | patient) + (1 | site), c("patient", "site"), 0)),
  paste0('"binary_patient_laplace": ', logistic(y ~ x + (1 | patient), "patient", 1)),
  paste0('"binary_patient_agq15": ', logistic(y ~ x + (1 | patient), "patient", 15)))
writeLines(paste0("{\n", paste(out, collapse = ",\n"), "\n}"), "expected.json")

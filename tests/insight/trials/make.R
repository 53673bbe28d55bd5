# Write series.csv and expected.json: segmented regression with AR(1) errors by nlme::gls (REML),
# stepped wedge by lme4 (REML). wedge.csv: 8 sites, 9 periods, drawn once.
#   Rscript make.R
suppressMessages({library(nlme); library(lme4)})
set.seed(11)
n <- 48; start <- 30; t <- 0:(n - 1)
after <- as.numeric(t >= start); since <- after * (t - start)
e <- as.numeric(arima.sim(list(ar = 0.4), n, sd = 0.2))
w <- sample(3:30, n, replace = TRUE)
d <- data.frame(y = round(2 + 0.01 * t - 0.4 * after - 0.02 * since + e, 6), w, t, after, since)
write.csv(d[, c("y", "w")], "series.csv", row.names = FALSE)
one <- function(m) {
  k <- c(0, 0, 1, mean((t - start)[after == 1]))
  sprintf('{"coefficients": [%s], "effect": %.10f, "se": %.10f, "correlation": %.10f}',
    paste(sprintf("%.10f", coef(m)), collapse = ", "), sum(k * coef(m)),
    sqrt(as.numeric(t(k) %*% m$varBeta %*% k)),
    coef(m$modelStruct$corStruct, unconstrained = FALSE))
}
ctl <- glsControl(msTol = 1e-12, tolerance = 1e-12, opt = "nlminb")
plain <- gls(y ~ t + after + since, d, correlation = corAR1(), method = "REML", control = ctl)
weighed <- gls(y ~ t + after + since, d, correlation = corAR1(), weights = varFixed(~ 1 / w),
  method = "REML", control = ctl)
x <- read.csv("wedge.csv")
m <- lmer(outcome ~ changed + period + (1 | site) + (1 | site:period), x)
v <- as.data.frame(VarCorr(m))
sd <- function(g) v$sdcor[v$grp == g]
writeLines(sprintf(
  '{"plain": %s,\n "weighed": %s,\n "wedge": {"effect": %.8f, "se": %.8f, "site": %.8f, "cell": %.8f}}',
  one(plain), one(weighed), fixef(m)[["changed"]], sqrt(vcov(m)["changed", "changed"]),
  sd("site"), sd("site:period")), "expected.json")

// What is being made in the background is looked for again.
setTimeout(() => location.reload(), 3000);

extension OpTable {
    static let indexingOps: [Op] = []
}

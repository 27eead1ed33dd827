extension OpTable {
    static let reductionOps: [Op] = []
}

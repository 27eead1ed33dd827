extension OpTable {
    static let imageOps: [Op] = []
}

extension OpTable {
    static let convolutionOps: [Op] = []
}
